"""What the configuration generator makes of a host: formulas, choices, and its text."""

import dataclasses
import itertools
from pathlib import Path

import pytest

from daos_control.config import server
from daos_control.config.generate import GenerateRequest, HostHardware, generate, to_yaml
from daos_control.config.generate.affinity import places
from daos_control.config.generate.hardware import Pmem, Ssd
from daos_control.config.generate.ports import fabric_ports
from daos_control.config.generate.request import NetClass, parse_ports, parse_replicas
from daos_control.config.generate.threads import Threads, threads
from daos_control.config.generate.tiers import split
from daos_control.config.problems import ConfigError
from daos_control.faults import Code, ControlError, Fault
from unit.config.hardware import ETHERNET, INFINIBAND, host, interface, ssds

TMPFS = GenerateRequest(net_class=NetClass.ETHERNET, tmpfs_scm=True)
MD_ON_SSD = dataclasses.replace(TMPFS, metadata_path=Path("/var/md"))
DCPM = GenerateRequest(net_class=NetClass.ETHERNET)


@pytest.mark.parametrize(
    ("cores", "disks", "targets", "helpers"),
    [
        # (cores - 2) * 0.8 / SSDs targets for each SSD, and a quarter of them as helpers
        (26, 4, 16, 4),
        (24, 4, 16, 4),
        (26, 8, 16, 4),
        (34, 8, 24, 6),
        (8, 1, 4, 1),
        (14, 7, 7, 1),
        # too few cores for one target on each SSD
        (8, 5, 5, 0),
        (8, 7, 6, 0),
        (3, 1, 1, 0),
        (4, 9, 2, 0),
        # no SSDs
        (3, 0, 1, 0),
        (17, 0, 15, 0),
        (18, 0, 16, 0),
        (100, 0, 16, 0),
    ],
)
def test_threads_follow_cores_and_ssds(cores: int, disks: int, targets: int, helpers: int) -> None:
    assert threads(cores, disks) == (targets, helpers)


@pytest.mark.parametrize("cores", [0, 1, 2])
def test_too_few_cores_are_refused(cores: int) -> None:
    with pytest.raises(ControlError, match=f"a NUMA node has {cores} cores"):
        threads(cores, 1)


@pytest.mark.parametrize(("disks", "parts"), [(1, (1,)), (2, (1, 1)), (5, (1, 4)), (6, (2, 4)), (12, (2, 10))])
def test_ssds_are_split_between_log_and_data(disks: int, parts: tuple[int, ...]) -> None:
    assert split(disks) == parts


@pytest.mark.parametrize(
    ("disks", "tiers"),
    [
        (1, [(1, ["data", "meta", "wal"])]),
        (4, [(1, ["wal"]), (3, ["data", "meta"])]),
        (6, [(2, ["wal"]), (4, ["data", "meta"])]),
    ],
)
def test_roles_are_given_to_the_tiers_of_md_on_ssd(disks: int, tiers: list[tuple[int, list[str]]]) -> None:
    made = generate(host(1, ssds=ssds(0, disks)), MD_ON_SSD)
    assert [(len(tier.bdev_list), tier.bdev_roles) for tier in made.engines[0].bdevs] == tiers
    assert made.control_metadata.path == Path("/var/md")


TEXT = """\
port: 10001
transport_config:
  allow_insecure: false
  client_cert_dir: /etc/daos/certs/clients
  ca_cert: /etc/daos/certs/daosCA.crt
  cert: /etc/daos/certs/server.crt
  key: /etc/daos/certs/server.key
engines:
- targets: 18
  nr_xs_helpers: 4
  log_file: /var/log/daos/daos_engine.0.log
  storage:
  - class: dcpm
    scm_mount: /mnt/daos0
    scm_list:
    - /dev/pmem0
  - class: nvme
    bdev_list:
    - "0000:01:00.0"
    - "0000:02:00.0"
  provider: ofi+tcp
  fabric_iface: eth0
  fabric_iface_port: 31416
  pinned_numa_node: 0
- targets: 18
  nr_xs_helpers: 4
  log_file: /var/log/daos/daos_engine.1.log
  storage:
  - class: dcpm
    scm_mount: /mnt/daos1
    scm_list:
    - /dev/pmem1
  - class: nvme
    bdev_list:
    - 0000:81:00.0
    - 0000:82:00.0
  provider: ofi+tcp
  fabric_iface: eth1
  fabric_iface_port: 32416
  pinned_numa_node: 1
disable_vfio: false
disable_vmd: false
disable_hotplug: false
nr_hugepages: 0
system_ram_reserved: 64
disable_hugepages: false
allow_numa_imbalance: false
allow_thp: false
control_log_mask: INFO
control_log_file: /var/log/daos/daos_server.log
core_dump_filter: 19
name: daos_server
socket_dir: /var/run/daos_server
provider: ofi+tcp
mgmt_svc_replicas:
- a:10001
- b:10001
- c:10001
fault_cb: ""
hyperthreads: false
disable_engine_auto_restart: false
"""


def test_the_text_is_that_of_daos_for_the_same_hardware() -> None:
    """DAOS 2.8's own generator was given this hardware, and wrote this text."""
    made = generate(TWO_NODES, dataclasses.replace(DCPM, replicas=("a", "b", "c")))
    assert to_yaml(made) == TEXT


TWO_NODES = host(
    2,
    interfaces=(interface("eth0", 0), interface("eth1", 1)),
    pmem=(Pmem("pmem1", 1), Pmem("pmem0", 0)),
    ssds=tuple(Ssd(f"0000:{bus:02x}:00.0", bus >> 7) for bus in (0x82, 0x02, 0x81, 0x01)),
)


def test_the_same_hardware_in_another_order_gives_the_same_text() -> None:
    other = dataclasses.replace(
        TWO_NODES, ssds=TWO_NODES.ssds[::-1], pmem=TWO_NODES.pmem[::-1], interfaces=TWO_NODES.interfaces[::-1]
    )
    assert to_yaml(generate(other, DCPM)) == to_yaml(generate(TWO_NODES, DCPM))


def chosen(hardware: HostHardware, request: GenerateRequest) -> list[tuple[int, str, str]]:
    return [(p.numa_node, p.interface.device, p.interface.provider) for p in places(hardware, request)]


def test_the_interface_with_the_lowest_priority_is_taken_and_the_first_by_name_among_equals() -> None:
    found = (interface("b0", 0, priority=1), interface("a0", 0, priority=1), interface("slow", 0, priority=2))
    assert chosen(host(1, interfaces=found, ssds=ssds(0, 1)), TMPFS) == [(0, "a0", "ofi+tcp")]


def test_all_engines_have_one_provider_that_with_the_best_sum() -> None:
    found = (
        interface("a0", 0, provider="ofi+x", priority=0),
        interface("a0", 0, priority=3),
        interface("a1", 1, priority=3),
        interface("a1", 1, provider="ofi+y", priority=1),
        interface("b0", 0, provider="ofi+y", priority=4),
    )
    hardware = host(2, interfaces=found, ssds=(*ssds(0, 1), *ssds(1, 1)))
    assert chosen(hardware, TMPFS) == [(0, "b0", "ofi+y"), (1, "a1", "ofi+y")]
    single = dataclasses.replace(TMPFS, engines=1)
    assert chosen(hardware, single) == [(0, "a0", "ofi+x")]


def test_fewer_engines_than_nodes_take_the_nodes_with_the_better_network_then_with_more_ssds() -> None:
    found = tuple(interface(f"eth{node}", node, priority=int(node == 0)) for node in range(4))
    disks = (*ssds(0, 9), *ssds(1, 2), *ssds(2, 4), *ssds(3, 4))
    two = dataclasses.replace(TMPFS, engines=2)
    assert [place[0] for place in chosen(host(4, interfaces=found, ssds=disks), two)] == [2, 3]


def test_every_engine_has_as_many_ssds_as_the_poorest_node() -> None:
    found = (interface("eth0", 0), interface("eth1", 1))
    made = generate(host(2, interfaces=found, ssds=(*ssds(0, 5), *ssds(1, 3))), TMPFS)
    assert [len(engine.bdevs[0].bdev_list) for engine in made.engines] == [3, 3]
    assert made.engines[0].bdevs[0].bdev_list == [ssd.address for ssd in ssds(0, 3)]


def behind_vmd(node: int, count: int) -> tuple[Ssd, ...]:
    return tuple(Ssd(f"{node + 1:02x}0505:{number:02x}:00.0", node) for number in range(1, count + 1))


def test_ssds_behind_a_vmd_are_configured_as_the_vmd_and_counted_one_by_one() -> None:
    (engine,) = generate(host(1, cores=10, ssds=behind_vmd(0, 4)), TMPFS).engines
    assert engine.bdevs[0].bdev_list == ["0000:01:05.5"]
    assert (engine.targets, engine.nr_xs_helpers) == threads(10, 4)


def test_vmds_with_different_numbers_of_ssds_are_fault_511() -> None:
    found = (interface("eth0", 0), interface("eth1", 1))
    with pytest.raises(Fault) as caught:
        generate(host(2, interfaces=found, ssds=(*behind_vmd(0, 2), *behind_vmd(1, 3))), TMPFS)
    assert caught.value.code == Code.CLIENT_CONFIG_VMD_IMBALANCE == 511
    assert "2 on node 0, 3 on node 1" in caught.value.description


@pytest.mark.parametrize(
    ("hardware", "request_", "told"),
    [
        (host(0), TMPFS, "no NUMA nodes were found"),
        (host(1), DCPM, "persistent memory was found on 0 NUMA nodes; --use-tmpfs-scm"),
        (host(2, ssds=ssds(1, 1)), TMPFS, r"SSDs .* found on 1 NUMA node \(1\): none on \(0\); --scm-only"),
        (host(1), dataclasses.replace(TMPFS, engines=2), "2 engines are asked for, and the host has 1 NUMA node"),
        (
            host(1, ssds=ssds(0, 1)),
            GenerateRequest(tmpfs_scm=True),
            r"class infiniband .*eth0 \(NUMA node 0, ofi\+tcp",
        ),
        (
            host(1, ssds=ssds(0, 1)),
            dataclasses.replace(TMPFS, provider="ofi+cxi"),
            r"class ethernet and provider ofi\+cxi",
        ),
        (host(1), dataclasses.replace(DCPM, metadata_path=Path("/m")), "add --use-tmpfs-scm"),
        (host(1), dataclasses.replace(MD_ON_SSD, scm_only=True), "--scm-only"),
        (
            host(1, ssds=ssds(0, 1)),
            dataclasses.replace(TMPFS, replicas=("a:1", "b:2", "c:1")),
            "not all named with the same port",
        ),
        (
            host(1, ssds=ssds(0, 1)),
            dataclasses.replace(TMPFS, replicas=("a:1", "b", "c:1")),
            "not all named with the same port",
        ),
    ],
)
def test_what_the_hardware_does_not_do_for_is_told_with_a_way_out(
    hardware: HostHardware, request_: GenerateRequest, told: str
) -> None:
    with pytest.raises(ControlError, match=told):
        generate(hardware, request_)


def test_an_even_number_of_replicas_makes_no_configuration() -> None:
    with pytest.raises(ConfigError, match="the generated configuration"):
        generate(host(1, ssds=ssds(0, 1)), dataclasses.replace(TMPFS, replicas=("a", "b")))


def test_the_port_of_the_replicas_is_that_of_the_server() -> None:
    made = generate(host(1, ssds=ssds(0, 1)), dataclasses.replace(TMPFS, replicas=("a:7", "b:7", "c:7")))
    assert (made.port, made.mgmt_svc_replicas) == (7, ["a:7", "b:7", "c:7"])


def test_short_names_of_providers_are_understood() -> None:
    found = (interface("ib0", 0, provider="ofi+verbs;ofi_rxm", kind=INFINIBAND),)
    hardware = host(1, interfaces=found, ssds=ssds(0, 1))
    for name in ("ofi+verbs", "ofi+verbs;ofi_rxm", "all", ""):
        request = GenerateRequest(tmpfs_scm=True, provider=name)
        assert generate(hardware, request).provider == "ofi+verbs;ofi_rxm"


@pytest.mark.parametrize(
    ("given", "interfaces", "control", "expected"),
    [
        ((), ("a", "b"), 10001, [31416, 32416]),
        ((), ("a", "a", "a"), 10001, [31416, 32416, 33416]),
        ((), ("a", "b"), 31420, [31438, 32416]),  # past the control plane's
        ((5000, 6000, 7000), ("a", "b"), 10001, [5000, 6000]),
        ((5000, 5000), ("a", "b"), 10001, [5000, 5000]),
        ((5000, 5022), ("a", "a"), 10001, [5000, 5022]),
    ],
)
def test_ports_of_engines(
    given: tuple[int, ...], interfaces: tuple[str, ...], control: int, expected: list[int]
) -> None:
    assert fabric_ports(given, interfaces, Threads(16, 4), control) == expected


@pytest.mark.parametrize(
    ("given", "interfaces", "control", "told"),
    [
        ((5000,), ("a", "b"), 10001, "1 fabric ports are given for 2 engines"),
        ((5000, 5021), ("a", "a"), 10001, "engines 0 and 1 are both on a, and take 22 ports each"),
        ((9990,), ("a",), 10001, "engine 0 takes the ports 9990 to 10011, and 10001 is the control plane's"),
        ((65515,), ("a",), 10001, "there are none above 65535"),
    ],
)
def test_ports_that_clash_are_refused(
    given: tuple[int, ...], interfaces: tuple[str, ...], control: int, told: str
) -> None:
    with pytest.raises(ControlError, match=told):
        fabric_ports(given, interfaces, Threads(16, 4), control)


def test_many_engines_are_put_closer_together() -> None:
    ports = fabric_ports((), ["a"] * 60, Threads(16, 4), 10001)
    assert ports[-1] + 22 <= 65536
    assert min(b - a for a, b in itertools.pairwise(ports)) >= 22


@pytest.mark.parametrize(("text", "ports"), [("", ()), ("1,65535", (1, 65535)), (" 7 , 8 ,", (7, 8))])
def test_lists_of_ports_are_read(text: str, ports: tuple[int, ...]) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["0", "65536", "-1", "a", "1 2", "٣", "1;2"])
def test_what_is_no_port_is_told(text: str) -> None:
    with pytest.raises(ControlError, match="is no port"):
        parse_ports(text)


def test_lists_of_replicas_are_read() -> None:
    assert parse_replicas("a, b:1,,c") == ("a", "b:1", "c")
    with pytest.raises(ControlError, match="no hosts are named"):
        parse_replicas(" , ")


def test_what_is_generated_is_read_again_as_the_same() -> None:
    made = generate(TWO_NODES, DCPM)
    assert server.parse(to_yaml(made), "again") == made
    assert ETHERNET == NetClass.ETHERNET
