"""Interfaces, providers and NUMA nodes, out of a sysfs made for the test."""

from pathlib import Path

import pytest

from daos_control.network import interfaces, offers, scan, topology
from daos_control.network.interfaces import ETHERNET, LOOPBACK, State
from daos_control.network.topology import NumaNode
from daos_control.proto.ctl import network_pb2
from daos_control.server.ctl_network import NetworkHandlers


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    for name, kind, operstate, flags, node in (
        ("eth0", ETHERNET, "up", "0x1003", "1"),
        ("eth1", ETHERNET, "down", "0x1003", "-1"),
        ("eth2", ETHERNET, "up", "0x1002", "0"),
        ("veth3", ETHERNET, "unknown", "0x1003", ""),
        ("bare4", ETHERNET, "up", "0x1003", ""),
        ("lo", LOOPBACK, "unknown", "0x9", ""),
        ("sit5", 776, "unknown", "0x81", ""),
    ):
        directory = tmp_path / "class/net" / name
        (directory / "device").mkdir(parents=True)
        (directory / "type").write_text(f"{kind}\n")
        (directory / "operstate").write_text(f"{operstate}\n")
        (directory / "flags").write_text(f"{flags}\n")
        if node:
            (directory / "device/numa_node").write_text(f"{node}\n")
    return tmp_path


ADDRESSES = {
    **dict.fromkeys(("eth0", "eth1", "eth2", "veth3", "sit5"), ("192.0.2.1",)),
    "lo": ("127.0.0.1", "127.0.0.2"),
}


def found(sysfs: Path) -> list[interfaces.Interface]:
    return interfaces.interfaces(sysfs, ADDRESSES)


def listed(provider: str, sysfs: Path) -> list[scan.FabricInterface]:
    known = found(sysfs)
    return scan.scan(provider, sysfs=sysfs, found=known, offered=offers.by_rules(known, sysfs))


def test_interfaces_are_read_with_state_and_node(sysfs: Path) -> None:
    by_name = {interface.name: interface for interface in found(sysfs)}
    assert by_name["eth0"].numa_node == 1
    assert by_name["eth1"].numa_node == 0
    assert by_name["eth1"].state is State.DOWN
    assert by_name["lo"].state is State.READY
    assert by_name["lo"].addresses == ("127.0.0.1", "127.0.0.2")
    assert by_name["veth3"].state is State.UNKNOWN


def test_providers_work_on_what_is_up_and_has_an_address(sysfs: Path) -> None:
    usable = listed("ofi+tcp", sysfs)
    assert [one.device for one in usable] == ["eth0", "lo", "veth3"]
    assert {one.priority for one in usable} == {0}
    assert usable[0] == scan.FabricInterface("ofi+tcp", "eth0", 1, 0, ETHERNET)


def test_all_providers_are_listed_with_the_priorities_of_libfabric(sysfs: Path) -> None:
    of_eth0 = [one for one in listed("", sysfs) if one.device == "eth0"]
    assert [(one.provider, one.priority) for one in of_eth0] == [
        ("ofi+sockets", 0),
        ("ofi+tcp;ofi_rxm", 2),
        ("ofi+tcp", 3),
    ]
    assert listed("ofi+verbs", sysfs) == []


def test_the_kernel_tells_the_loopback_address() -> None:
    assert "127.0.0.1" in interfaces.ipv4_addresses()["lo"]


@pytest.mark.asyncio
async def test_the_answer_to_a_scan_is_the_observed_one(sysfs: Path) -> None:
    handlers = NetworkHandlers(
        "ofi+tcp",
        scan=lambda provider: [one for one in listed(provider, sysfs) if one.device != "veth3"],
        nodes=lambda: [NumaNode(0, (0, 1), 2)],
    )
    assert await handlers.network_scan(network_pb2.NetworkScanReq()) == network_pb2.NetworkScanResp(
        interfaces=[
            network_pb2.FabricInterface(provider="ofi+tcp", device="eth0", numanode=1, priority=0, netdevclass=1)
        ],
        numacount=1,
        corespernuma=2,
    )
    everything = await handlers.network_scan(network_pb2.NetworkScanReq(provider="ALL"))
    assert [one.provider for one in everything.interfaces] == ["ofi+sockets", "ofi+tcp;ofi_rxm", "ofi+tcp"]
    sockets = await handlers.network_scan(network_pb2.NetworkScanReq(provider="ofi+sockets"))
    assert [one.provider for one in sockets.interfaces] == ["ofi+sockets"]
    without = await handlers.network_scan(network_pb2.NetworkScanReq(excludeinterfaces="eth0,eth1"))
    assert not without.interfaces


def test_cores_are_counted_once_for_their_threads(tmp_path: Path) -> None:
    for node, cpus in ((0, (0, 1, 4, 5)), (1, (2, 3, 6, 7)), (2, ())):
        directory = tmp_path / f"devices/system/node/node{node}"
        directory.mkdir(parents=True)
        (directory / "cpulist").write_text(",".join(map(str, cpus)) + "\n")
        for cpu in cpus:
            thread = tmp_path / f"devices/system/cpu/cpu{cpu}/topology"
            thread.mkdir(parents=True)
            (thread / "thread_siblings_list").write_text(f"{cpu % 4},{cpu % 4 + 4}\n")
    assert topology.numa_nodes(tmp_path) == [NumaNode(0, (0, 1, 4, 5), 2), NumaNode(1, (2, 3, 6, 7), 2)]


def test_a_kernel_without_numa_is_one_node(tmp_path: Path) -> None:
    (tmp_path / "devices/system/cpu").mkdir(parents=True)
    (tmp_path / "devices/system/cpu/online").write_text("0-2\n")
    assert topology.numa_nodes(tmp_path) == [NumaNode(0, (0, 1, 2), 3)]


def test_the_buses_of_a_node_are_lowest_to_highest(tmp_path: Path) -> None:
    for address, node in (("0000:81:00.0", "1"), ("0000:8f:00.1", "1"), ("0000:03:00.0", "-1"), ("bogus", "1")):
        directory = tmp_path / "bus/pci/devices" / address
        directory.mkdir(parents=True)
        (directory / "numa_node").write_text(node)
    assert topology.pci_buses(1, tmp_path) == (0x81, 0x8F)
    assert topology.pci_buses(0, tmp_path) == (3, 3)
    assert topology.pci_buses(2, tmp_path) is None
