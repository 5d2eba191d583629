"""Whatever the hardware and whatever is asked for: a configuration that our own check accepts and in which nothing
clashes, or an error that is told."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daos_control.config import server
from daos_control.config.generate import GenerateRequest, HostHardware, generate, to_yaml
from daos_control.config.generate.hardware import FabricInterface, Pmem, Ssd
from daos_control.config.generate.homogeneity import require_alike
from daos_control.config.generate.request import NetClass
from daos_control.config.models import EngineConfig, ServerConfig
from daos_control.config.values import PORT_MAX
from daos_control.faults import Code, ControlError, Fault
from unit.config.hardware import ETHERNET, INFINIBAND

NODES_MAX = 6
nodes = st.integers(0, NODES_MAX - 1)
ports = st.integers(1, PORT_MAX)

interfaces = st.lists(
    st.builds(
        FabricInterface,
        provider=st.sampled_from(["ofi+tcp", "ofi+sockets", "ofi+verbs;ofi_rxm"]),
        device=st.sampled_from(["eth0", "eth1", "ib0", "on", "0x1"]),
        numa_node=nodes,
        priority=st.integers(0, 3),
        net_dev_class=st.sampled_from([ETHERNET, ETHERNET, INFINIBAND]),
    ),
    max_size=20,
)
addresses = st.one_of(
    st.builds("0000:{:02x}:{:02x}.{:x}".format, st.integers(0, 255), st.integers(0, 31), st.integers(0, 7)),
    st.builds("{:02x}0505:{:02x}:00.0".format, st.integers(1, 3), st.integers(0, 255)),
)
ssds = st.lists(st.builds(Ssd, addresses, nodes), max_size=40, unique_by=lambda ssd: ssd.address)
pmem = st.lists(
    st.builds(Pmem, st.integers(0, 9).map("pmem{}".format), nodes), max_size=8, unique_by=lambda device: device.name
)
hardware = st.builds(
    HostHardware,
    numa_count=st.integers(0, NODES_MAX),
    cores_per_numa=st.integers(0, 128),
    interfaces=interfaces.map(tuple),
    pmem=pmem.map(tuple),
    ssds=ssds.map(tuple),
    memory_kib=st.just(1 << 28),
)
requests = st.builds(
    GenerateRequest,
    replicas=st.sampled_from([("localhost",), ("a", "b", "c"), ("a:5", "b:5", "c:5"), ("192.0.2.1:31420",)]),
    engines=st.integers(0, NODES_MAX),
    scm_only=st.booleans(),
    net_class=st.sampled_from(NetClass),
    provider=st.sampled_from(["", "", "ofi+tcp", "ofi+verbs"]),
    tmpfs_scm=st.booleans(),
    metadata_path=st.sampled_from([None, None, Path("/var/md")]),
    fabric_ports=st.lists(ports, max_size=NODES_MAX).map(tuple),
)


def ports_of(engine: EngineConfig) -> range:
    return range(engine.fabric_iface_port, engine.fabric_iface_port + engine.targets + engine.nr_xs_helpers + 2)


def check(config: ServerConfig, found: HostHardware, request: GenerateRequest) -> None:
    assert server.parse(to_yaml(config), "again") == config
    engines = config.engines
    assert len(engines) == (request.engines or found.numa_count)
    for one in engines:
        assert ports_of(one)[-1] <= PORT_MAX
        assert config.port not in ports_of(one)
        assert 0 < one.targets + one.nr_xs_helpers <= found.cores_per_numa - 2
        for other in engines:
            if one is not other and one.fabric_iface == other.fabric_iface:
                assert not set(ports_of(one)) & set(ports_of(other))
    used = [device for one in engines for tier in one.bdevs for device in tier.bdev_list]
    assert len(used) == len(set(used))
    mounts = [one.storage[0].scm_mount for one in engines]
    assert len(set(mounts)) == len({one.log_file for one in engines}) == len(engines)
    assert {one.provider for one in engines} == {config.provider}
    check_places(config, found, request)


def check_places(config: ServerConfig, found: HostHardware, request: GenerateRequest) -> None:
    """Each engine has the devices of its own node."""
    for one in config.engines:
        node = one.pinned_numa_node
        assert any(
            (i.device, i.provider, i.net_dev_class, i.numa_node)
            == (one.fabric_iface, one.provider, request.net_class, node)
            for i in found.interfaces
        )
        on_node = {ssd.vmd or ssd.address for ssd in found.ssds if ssd.numa_node == node}
        assert {device for tier in one.bdevs for device in tier.bdev_list} <= on_node
        assert bool(one.bdevs) is not request.scm_only
        for device in one.storage[0].scm_list:
            assert Pmem(device.name, node or 0) in found.pmem
        roles = [role for tier in one.bdevs for role in tier.bdev_roles]
        assert sorted(roles) == (["data", "meta", "wal"] if request.metadata_path else [])


def attempt(found: HostHardware, request: GenerateRequest) -> ServerConfig | Fault | ControlError:
    try:
        return generate(found, request)
    except (Fault, ControlError) as error:
        return error


@settings(max_examples=200, deadline=None)
@given(hardware, requests)
def test_a_configuration_passes_the_check_and_nothing_in_it_clashes(
    found: HostHardware, request: GenerateRequest
) -> None:
    made = attempt(found, request)
    if isinstance(made, ServerConfig):
        check(made, found, request)
    elif isinstance(made, Fault):
        # A VMD may span nodes in this hardware: then two engines would share it, which the check tells.
        shared = made.code == Code.SERVER_BAD_CONFIG and any(ssd.vmd for ssd in found.ssds)
        assert shared or made.code == Code.CLIENT_CONFIG_VMD_IMBALANCE


@st.composite
def good_hosts(draw: st.DrawFn) -> HostHardware:
    """Hosts on which every node has what an engine needs."""
    count = draw(st.integers(1, 4))
    counts = [draw(st.integers(1, 9)) for _ in range(count)]
    return HostHardware(
        numa_count=count,
        cores_per_numa=draw(st.integers(3, 128)),
        interfaces=tuple(FabricInterface("ofi+tcp", f"eth{node}", node, 0, ETHERNET) for node in range(count)),
        pmem=tuple(Pmem(f"pmem{node}", node) for node in range(count)),
        ssds=tuple(Ssd(f"0000:{n:02x}:{i:02x}.0", n) for n in range(count) for i in range(counts[n])),
        memory_kib=1 << 28,
    )


@settings(max_examples=60, deadline=None)
@given(good_hosts(), st.booleans(), st.sampled_from(["", "ssd", "md"]))
def test_a_host_with_all_that_is_needed_gets_a_configuration(found: HostHardware, tmpfs: bool, kind: str) -> None:
    request = GenerateRequest(
        net_class=NetClass.ETHERNET,
        scm_only=not kind,
        tmpfs_scm=tmpfs or kind == "md",
        metadata_path=Path("/var/md") if kind == "md" else None,
    )
    check(generate(found, request), found, request)


@settings(max_examples=40, deadline=None)
@given(good_hosts(), st.randoms(use_true_random=False))
def test_the_order_of_a_scan_does_not_change_the_text(found: HostHardware, random: object) -> None:
    def mixed(devices: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(random.sample(devices, len(devices)))  # type: ignore[attr-defined]

    other = dataclasses.replace(
        found, interfaces=mixed(found.interfaces), pmem=mixed(found.pmem), ssds=mixed(found.ssds)
    )
    request = GenerateRequest(net_class=NetClass.ETHERNET)
    assert to_yaml(generate(other, request)) == to_yaml(generate(found, request))
    assert require_alike([("a:1", found), ("b:1", other)]) in (found, other)


HOST = HostHardware(
    numa_count=2,
    cores_per_numa=16,
    interfaces=(
        FabricInterface("ofi+tcp", "eth0", 0, 0, ETHERNET),
        FabricInterface("ofi+tcp", "eth1", 1, 0, ETHERNET),
    ),
    pmem=(Pmem("pmem0", 0, 7), Pmem("pmem1", 1, 7)),
    ssds=(Ssd("0000:01:00.0", 0), Ssd("0000:81:00.0", 1)),
    memory_kib=256 << 20,
)


@pytest.mark.parametrize(
    ("changes", "what", "told"),
    [
        ({"cores_per_numa": 8}, "network", "c:1 lacks 16 cores per NUMA node and has 8 cores per NUMA node"),
        ({"interfaces": HOST.interfaces[:1]}, "network", "c:1 lacks interface eth1 with ofi+tcp (NUMA node 1"),
        ({"ssds": HOST.ssds[:1]}, "storage", "c:1 lacks SSD 0000:81:00.0 (NUMA node 1)"),
        (
            {"ssds": (*HOST.ssds, Ssd("0000:02:00.0", 0))},
            "storage",
            "c:1 has SSD 0000:02:00.0 (NUMA node 0)",
        ),
        (
            {"pmem": (Pmem("pmem0", 0, 7), Pmem("pmem1", 1, 8))},
            "storage",
            "c:1 lacks pmem1 of 7 bytes (NUMA node 1)",
        ),
        ({"memory_kib": 128 << 20}, "storage", "c:1 has 128 GiB of memory where others have 256 GiB"),
    ],
)
def test_the_host_that_differs_is_named_with_the_difference(changes: dict, what: str, told: str) -> None:
    other = dataclasses.replace(HOST, **changes)
    with pytest.raises(ControlError) as caught:
        require_alike([("c:1", other), ("a:1", HOST), ("b:1", HOST)])
    assert str(caught.value).startswith(f"{what} hardware not consistent across hosts: ")
    assert told in str(caught.value)
    assert "a:1" not in str(caught.value)


def test_memory_that_differs_a_little_is_the_same() -> None:
    other = dataclasses.replace(HOST, memory_kib=HOST.memory_kib - 4096)
    assert require_alike([("a:1", HOST), ("b:1", other)]) == HOST


def test_no_hosts_are_no_hardware() -> None:
    with pytest.raises(ControlError, match="no host told"):
        require_alike([])
