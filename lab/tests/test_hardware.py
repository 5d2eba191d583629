"""The machine is what lab/hardware.py says: what all other tests here stand on."""

import re
from pathlib import Path

import pytest

from lab.hardware import CARDS, CONTROLLERS, MEMORY_MIB, MIB, NODES, NVDIMMS, NetworkCard, NvmeController
from lab.tests import nvme, persistent_memory
from lab.tests.commands import read, run_json

PCI = Path("/sys/bus/pci/devices")


@pytest.mark.parametrize("node", NODES)
def test_each_numa_node_has_a_cpu_and_its_memory(node: int) -> None:
    directory = Path(f"/sys/devices/system/node/node{node}")
    assert read(directory / "cpulist") == str(node)
    found = re.search(r"MemTotal: +(\d+) kB", read(directory / "meminfo"))
    assert found is not None
    assert 0.85 * MEMORY_MIB < int(found[1]) / 1024 <= MEMORY_MIB


def test_each_numa_node_has_a_region_of_persistent_memory() -> None:
    assert sorted(persistent_memory.regions()) == sorted(nvdimm.node for nvdimm in NVDIMMS)
    for nvdimm in NVDIMMS:
        region = persistent_memory.BUS / persistent_memory.regions()[nvdimm.node]
        assert int(read(region / "size")) == nvdimm.size_mib * MIB
        assert read(region / "persistence_domain") == "memory_controller"


def test_each_module_of_persistent_memory_has_a_label_area() -> None:
    assert len(persistent_memory.dimms()) == len(NVDIMMS)
    for dimm in persistent_memory.dimms():
        flags = read(persistent_memory.BUS / dimm / "nfit" / "flags").split()
        assert not {"save_fail", "restore_fail", "flush_fail", "not_armed", "map_fail"} & set(flags)
        (labels,) = run_json("ndctl", "read-labels", "--json", dimm)
        assert labels["dev"] == dimm


@pytest.mark.parametrize("controller", CONTROLLERS, ids=lambda controller: controller.serial)
def test_an_nvme_controller_is_on_its_node_with_all_its_namespaces(controller: NvmeController) -> None:
    device = PCI / controller.pci_address
    assert read(device / "numa_node") == str(controller.node)
    assert read(device / "class") == "0x010802"
    (name,) = [entry.name for entry in (device / "nvme").iterdir()]
    assert read(device / "nvme" / name / "serial") == controller.serial
    for namespace in controller.namespaces:
        block = Path("/sys/class/block") / nvme.block_device(controller, namespace.nsid).name
        assert int(read(block / "size")) * 512 == namespace.size_mib * MIB
        assert int(read(block / "queue/logical_block_size")) == namespace.block_bytes


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.mac)
def test_a_network_card_is_on_its_node(card: NetworkCard) -> None:
    device = PCI / card.pci_address
    assert read(device / "numa_node") == str(card.node)
    (name,) = [entry.name for entry in device.glob("virtio*/net/*")]
    assert read(Path("/sys/class/net") / name / "address") == card.mac
