"""Which NUMA nodes get an engine, and which network interface each of them uses.

A node is eligible that has the storage an engine needs, and an interface of the class and provider asked for. Of
the sets of eligible nodes the one is taken whose interfaces have the lowest sum of priorities; then the one whose
poorest node has most SSDs; then the one with the lowest node numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from daos_control.config.generate.hardware import FabricInterface, HostHardware, Pmem, Ssd
from daos_control.config.generate.request import GenerateRequest
from daos_control.faults import ControlError

DeviceT = TypeVar("DeviceT", Pmem, Ssd)


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """A NUMA node with what is on it: `pmem` by name and `ssds` by address."""

    numa_node: int
    interface: FabricInterface
    pmem: tuple[Pmem, ...]
    ssds: tuple[Ssd, ...]


def places(hardware: HostHardware, request: GenerateRequest) -> list[EnginePlace]:
    """One for each engine, by node. ControlError where the hardware does not do for as many as are asked for."""
    count = request.engines or hardware.numa_count
    if count <= 0:
        raise ControlError("no NUMA nodes were found, and no number of engines is asked for (--num-engines)")
    pmem = _by_node(sorted(hardware.pmem, key=lambda device: device.name))
    ssds = {} if request.scm_only else _by_node(sorted(hardware.ssds, key=lambda ssd: ssd.order))
    nodes = _with_storage(hardware, request, count, pmem, ssds)
    best = _best(nodes, count, _interfaces(hardware, request), ssds)
    if best is None:
        raise ControlError(_no_fabric(hardware, request, count, nodes))
    return [
        EnginePlace(node, best[node], tuple(pmem.get(node, ())), tuple(ssds.get(node, ()))) for node in sorted(best)
    ]


def _by_node(devices: Sequence[DeviceT]) -> dict[int, list[DeviceT]]:
    nodes: dict[int, list[DeviceT]] = {}
    for device in devices:
        nodes.setdefault(device.numa_node, []).append(device)
    return nodes


def _with_storage(
    hardware: HostHardware,
    request: GenerateRequest,
    count: int,
    pmem: Mapping[int, Sequence[Pmem]],
    ssds: Mapping[int, Sequence[Ssd]],
) -> list[int]:
    """The nodes with SCM, and SSDs unless there are to be none; at least `count`."""
    nodes = list(range(hardware.numa_count)) if request.tmpfs_scm else sorted(pmem)
    if len(nodes) < count:
        if request.tmpfs_scm:
            raise ControlError(
                f"{_engines(count)} asked for, and the host has {_nodes(len(nodes))}: an engine needs its own"
            )
        raise ControlError(
            f"{_engines(count)} asked for, and persistent memory was found on {_nodes(len(nodes))}"
            f"{_listed(nodes)}; --use-tmpfs-scm does without it"
        )
    if request.scm_only:
        return nodes
    enough = [node for node in nodes if ssds.get(node)]
    if len(enough) < count:
        lacking = [node for node in nodes if node not in enough]
        raise ControlError(
            f"{_engines(count)} asked for, and NVMe SSDs that are free for use were found on"
            f" {_nodes(len(enough))}{_listed(enough)}: none on{_listed(lacking)}; --scm-only does without them"
        )
    return enough


def _interfaces(hardware: HostHardware, request: GenerateRequest) -> dict[str, dict[int, FabricInterface]]:
    """The best interface of each node, for each provider."""
    found: dict[str, dict[int, FabricInterface]] = {}
    for interface in sorted(hardware.interfaces, key=lambda one: (one.priority, one.device)):
        if interface.net_dev_class != request.net_class:
            continue
        if request.wanted_provider in ("", interface.provider):
            found.setdefault(interface.provider, {}).setdefault(interface.numa_node, interface)
    return found


def _best(
    nodes: Sequence[int],
    count: int,
    interfaces: Mapping[str, Mapping[int, FabricInterface]],
    ssds: Mapping[int, Sequence[Ssd]],
) -> dict[int, FabricInterface] | None:
    """The interfaces of the best set of nodes; None where no provider has enough nodes."""
    best: tuple[tuple[object, ...], dict[int, FabricInterface]] | None = None
    for provider in sorted(interfaces):
        by_node = {node: interfaces[provider][node] for node in nodes if node in interfaces[provider]}
        if len(by_node) < count:
            continue
        chosen = _best_nodes({n: i.priority for n, i in by_node.items()}, count, ssds)
        poorest = min(len(ssds.get(node, ())) for node in chosen)
        score = (sum(by_node[node].priority for node in chosen), -poorest, chosen, provider)
        if best is None or score < best[0]:
            best = (score, {node: by_node[node] for node in chosen})
    return None if best is None else best[1]


def _best_nodes(priorities: Mapping[int, int], count: int, ssds: Mapping[int, Sequence[Ssd]]) -> list[int]:
    """Of nodes with the interface priorities given, the best `count`, in order.

    Nodes with a priority below that of the last one that is needed are in every best set; among those with this
    very priority, which SSDs there are decides.
    """

    def richness(node: int) -> int:
        return len(ssds.get(node, ()))

    last = sorted(priorities.values())[count - 1]
    sure = [node for node in priorities if priorities[node] < last]
    candidates = sorted(node for node in priorities if priorities[node] == last)
    needed = count - len(sure)
    rich = sorted(map(richness, candidates), reverse=True)[needed - 1]
    poorest = min([rich, *map(richness, sure)])
    return sorted(sure + [node for node in candidates if richness(node) >= poorest][:needed])


def _no_fabric(hardware: HostHardware, request: GenerateRequest, count: int, nodes: Sequence[int]) -> str:
    kind = request.net_class.name.lower()
    provider = f" and provider {request.provider}" if request.wanted_provider else ""
    listed = sorted({f"{i.device} (NUMA node {i.numa_node}, {i.provider})" for i in hardware.interfaces})
    there = ", ".join(listed) if listed else "none at all"
    return (
        f"{_engines(count)} asked for on NUMA nodes with storage{_listed(nodes)}, and no fabric provider has a"
        f" network interface of class {kind}{provider} on as many of them; found: {there} (see --net-class,"
        " --net-provider)"
    )


def _engines(count: int) -> str:
    return f"{count} engine{'s' if count != 1 else ''} {'are' if count != 1 else 'is'}"


def _nodes(count: int) -> str:
    return f"{count} NUMA node{'s' if count != 1 else ''}"


def _listed(nodes: Sequence[int]) -> str:
    return f" ({', '.join(map(str, nodes))})" if nodes else ""
