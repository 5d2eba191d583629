"""Whether hosts that are to share a configuration are alike, and where they differ."""

from collections.abc import Callable, Iterable, Sequence

from daos_control.config.generate.hardware import HostHardware
from daos_control.faults import ControlError

GIB_IN_KIB = 1 << 20
# Equal machines do not report equal memory to the byte: firmware keeps more or less of it to itself.
_MEMORY_TOLERANCE = 0.02
_DIFFERENCES_MAX = 6  # of one host, in a message

Host = tuple[str, HostHardware]


def require_alike(hosts: Sequence[Host]) -> HostHardware:
    """The hardware that all hosts have; `hosts` by name. ControlError names the hosts that differ from most of the
    others, and in what."""
    if not hosts:
        raise ControlError("no host told what hardware it has")
    _require("network", network_facts, hosts)
    _require("storage", storage_facts, hosts)
    most = _typical(hosts, lambda hardware: frozenset(network_facts(hardware) + storage_facts(hardware)))
    for name, hardware in hosts:
        if abs(hardware.memory_kib - most.memory_kib) > most.memory_kib * _MEMORY_TOLERANCE:
            have, want = hardware.memory_kib / GIB_IN_KIB, most.memory_kib / GIB_IN_KIB
            text = f"{name} has {have:.0f} GiB of memory where others have {want:.0f} GiB"
            raise ControlError(f"storage hardware not consistent across hosts: {text}")
    return most


def network_facts(hardware: HostHardware) -> list[str]:
    """What about the network and the processors must be the same."""
    interfaces = [
        f"interface {one.device} with {one.provider} (NUMA node {one.numa_node}, class {one.net_dev_class},"
        f" priority {one.priority})"
        for one in hardware.interfaces
    ]
    return [f"{hardware.numa_count} NUMA nodes", f"{hardware.cores_per_numa} cores per NUMA node", *interfaces]


def storage_facts(hardware: HostHardware) -> list[str]:
    """What about the storage must be the same."""
    return [
        *(f"{one.name} of {one.size_bytes} bytes (NUMA node {one.numa_node})" for one in hardware.pmem),
        *(f"SSD {one.address} (NUMA node {one.numa_node})" for one in hardware.ssds),
    ]


def _require(what: str, facts: Callable[[HostHardware], list[str]], hosts: Sequence[Host]) -> None:
    expected = facts(_typical(hosts, lambda hardware: frozenset(facts(hardware))))
    told = []
    for name, hardware in hosts:
        found = facts(hardware)
        lacks, more = _without(expected, found), _without(found, expected)
        if lacks or more:
            parts = ([f"lacks {_listed(lacks)}"] if lacks else []) + ([f"has {_listed(more)}"] if more else [])
            told.append(f"{name} {' and '.join(parts)}")
    if told:
        raise ControlError(f"{what} hardware not consistent across hosts: against the others, {'; '.join(told)}")


def _typical(hosts: Sequence[Host], key: Callable[[HostHardware], frozenset[str]]) -> HostHardware:
    """The hardware that most hosts have; among as many, that of the first host by name."""
    counts: dict[frozenset[str], list[Host]] = {}
    for host in sorted(hosts, key=lambda host: host[0]):
        counts.setdefault(key(host[1]), []).append(host)
    return max(counts.values(), key=len)[0][1]


def _without(facts: Iterable[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [fact for fact in facts if fact not in known]


def _listed(facts: Sequence[str]) -> str:
    shown = ", ".join(facts[:_DIFFERENCES_MAX])
    rest = len(facts) - _DIFFERENCES_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown
