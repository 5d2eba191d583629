"""dump-topology, against a host made for the test, and against what DAOS's printed."""

import json
from pathlib import Path

import pytest

from daos_control.cli import daos_server_topology as output
from daos_control.faults import ControlError
from daos_control.network.topology import NumaNode, numa_nodes, topology
from fakes.fake_sysfs import Sysfs

OBSERVED = """\
NUMA Node 0
  CPU cores: 0-1
  PCI buses:
    0000:00
      0000:00:02.0
        0000:00:02.0 vda (275 GB block device)
      0000:00:03.0
        0000:00:03.0 eth0 (network interface)
Virtual Devices
  ifb0 (network interface)
  ifb1 (network interface)
  lo (network interface)
"""


# A node without processors has an empty list of them, after a blank.
LARGE = """\
NUMA Node 0
  CPU cores: 0-1
  PCI buses:
  Non-PCI block devices:
    pmem0 (4.3 GB NVDIMM)
NUMA Node 1
  CPU cores: 2-3
  PCI buses:
    0000:[80-83]
      0000:81:00.0
        0000:81:00.0 ib0 (network interface) @ 3.938462 GT/s
        0000:81:00.0 mlx5_0 (OFI domain) @ 3.938462 GT/s
NUMA Node 2
  CPU cores:
  PCI buses:
Virtual Devices
  ib0.1 (network interface)
    backed by: 0000:81:00.0 ib0 (network interface) @ 3.938462 GT/s
""".replace("cores:\n", "cores: \n")


def observed_host(root: Path) -> None:
    sysfs = Sysfs(root)
    sysfs.node(0, (0, 1))
    sysfs.function("0000:00:00.0", -1)
    disk = sysfs.function("0000:00:02.0", -1)
    sysfs.block("vda", disk / "virtio1", 536870912)
    sysfs.net("eth0", sysfs.function("0000:00:03.0", -1))
    for name in ("lo", "ifb1", "ifb0"):
        sysfs.net(name, None)
    sysfs.block("loop0", root / "devices/virtual", 8, "7:0")


def test_the_observed_host_is_printed_as_daos_prints_it(tmp_path: Path) -> None:
    observed_host(tmp_path)
    assert output.as_text(topology(tmp_path)) == OBSERVED


def test_the_json_has_the_fields_of_daos(tmp_path: Path) -> None:
    observed_host(tmp_path)
    body = output.as_json(topology(tmp_path))
    nodes = body["numa_nodes"]
    assert isinstance(nodes, dict)
    address = {"domain": 0, "bus": 0, "device": 2, "function": 0}
    vda = {"name": "vda", "type": 3, "pci_address": address, "port_id": 0}
    assert list(nodes["0"]) == ["id", "cores", "pci_buses", "pci_devices", "block_devices"]
    assert nodes["0"]["pci_devices"]["0000:00:02.0"] == [vda]
    assert nodes["0"]["block_devices"] == [
        {
            "type": "unknown",
            "name": "vda",
            "sector_size": 512,
            "size": 274877906944,
            "linux_device_id": "254:0",
            "backing_device": vda,
        }
    ]
    assert body["virtual_devices"] == [
        {"name": name, "type": 1, "backing_device": None} for name in ("ifb0", "ifb1", "lo")
    ]
    assert json.dumps(body)


def test_a_large_host_has_its_devices_below_their_nodes_and_buses(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.node(0, (0, 1, 2, 3), threads=2)
    sysfs.node(1, (4, 5, 6, 7), threads=2)
    sysfs.node(2, ())
    bridge = sysfs.function("0000:80:01.0", 1, "0000:80", subordinate_bus_number="131")
    card = bridge / "0000:81:00.0"
    sysfs.write(card / "numa_node", "1")
    sysfs.write(card / "current_link_speed", "8.0 GT/s PCIe")
    sysfs.write(card / "current_link_width", "4")
    sysfs.fabric("mlx5_0", card, "4: ACTIVE")
    sysfs.net("ib0", card, kind=32)
    sysfs.lower(sysfs.net("ib0.1", None), "ib0")
    sysfs.block("pmem0", tmp_path / "devices/LNXSYSTM:00/ndbus0/region0/namespace0.0", 4 << 21)
    assert output.as_text(topology(tmp_path)) == LARGE


def test_nodes_without_processors_get_no_engine(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.node(0, (0, 1), threads=2)
    sysfs.node(1, ())
    assert numa_nodes(tmp_path) == [NumaNode(0, (0, 1), 1)]


def test_namespaces_of_a_device_with_several_paths_are_on_its_controller(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.node(0, (0,))
    function = sysfs.function("0000:00:05.0")
    controller = function / "nvme/nvme0"
    controller.mkdir(parents=True)
    (controller / "device").symlink_to("../..")
    subsystem = tmp_path / "devices/virtual/nvme-subsystem/nvme-subsys0"
    subsystem.mkdir(parents=True)
    (subsystem / "nvme0").symlink_to(controller)
    disk = subsystem / "nvme0n1"
    sysfs.write(disk / "size", "2097152")
    (disk / "device").symlink_to("..")
    (tmp_path / "class/block").mkdir(parents=True)
    (tmp_path / "class/block/nvme0n1").symlink_to(disk)
    assert "0000:00:05.0 nvme0n1 (1.1 GB block device)" in output.as_text(topology(tmp_path))


def test_the_dump_can_go_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output.write(str(tmp_path / "dump"))
    output.write("stdout")
    assert (tmp_path / "dump").read_text() == capsys.readouterr().out
    with pytest.raises(ControlError, match='failed to create "/nowhere/dump": No such file'):
        output.write("/nowhere/dump")


def test_an_empty_sysfs_is_one_node_with_nothing(tmp_path: Path) -> None:
    assert output.as_text(topology(tmp_path)) == "NUMA Node 0\n  CPU cores: \n  PCI buses:\n"
