"""NUMA nodes of this host, their cores and PCI buses, out of sysfs; and the whole of what is on them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daos_control.network import interfaces, pci
from daos_control.network.pci import BlockDevice, PciBus, PciDevice
from daos_control.network.sysfs import SYSFS, children, read, read_int

_NODE = re.compile(r"^node(\d+)$")
_ADDRESS = re.compile(r"^[0-9a-fA-F]{4,}:([0-9a-fA-F]{2}):[0-9a-fA-F]{2}\.[0-7]$")


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A NUMA node: `cpus` are the kernel's numbers of its processors, `cores` counts physical cores."""

    index: int
    cpus: tuple[int, ...]
    cores: int


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """A network interface that the kernel made; `backing` is the device of the interface that it stands on."""

    name: str
    backing: PciDevice | None


@dataclass(frozen=True, slots=True)
class NodeTopology:
    """A NUMA node with all that is on it. `cores` are numbers of cores, counted over the whole host."""

    index: int
    cores: tuple[int, ...]
    buses: tuple[PciBus, ...]
    devices: tuple[PciDevice, ...]
    memory_devices: tuple[BlockDevice, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole host."""

    nodes: tuple[NodeTopology, ...]
    virtual_devices: tuple[VirtualDevice, ...]


def numa_nodes(sysfs: Path = SYSFS) -> list[NumaNode]:
    """All nodes that have processors; a kernel without NUMA counts as one node with all of them."""
    return [node for node in _all_nodes(sysfs) if node.cpus]


def topology(sysfs: Path = SYSFS) -> Topology:
    """Everything at once; nodes without processors are among the nodes."""
    nodes = _all_nodes(sysfs)
    cores = _numbered_cores(nodes)
    devices, buses, memory = pci.devices(sysfs), pci.buses(sysfs), pci.persistent_memory(sysfs)
    return Topology(
        nodes=tuple(
            NodeTopology(
                index=node.index,
                cores=cores[node.index],
                buses=tuple(bus for bus in buses if bus.numa_node == node.index),
                devices=tuple(device for device in devices if device.numa_node == node.index),
                memory_devices=tuple(device for device in memory if device.numa_node == node.index),
            )
            for node in nodes
        ),
        virtual_devices=tuple(_virtual_devices(sysfs, devices)),
    )


def pci_buses(numa_node: int, sysfs: Path = SYSFS) -> tuple[int, int] | None:
    """The lowest and the highest PCI bus of a node; None where it has none."""
    buses = []
    for device in children(sysfs / "bus" / "pci" / "devices"):
        match = _ADDRESS.match(device.name)
        if match and max(read_int(device / "numa_node", 0), 0) == numa_node:
            buses.append(int(match[1], 16))
    return (min(buses), max(buses)) if buses else None


def cpu_list(text: str) -> Iterator[int]:
    """The numbers of a list as "0-3,8"."""
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _all_nodes(sysfs: Path) -> list[NumaNode]:
    root = sysfs / "devices" / "system"
    found = {int(m[1]): path for path in children(root / "node") if (m := _NODE.match(path.name))}
    cpus = {index: tuple(cpu_list(read(path / "cpulist"))) for index, path in found.items()}
    if not any(cpus.values()):
        cpus = {0: tuple(cpu_list(read(root / "cpu" / "online")))}
    return [NumaNode(index, cpus[index], _cores(root / "cpu", cpus[index])) for index in sorted(cpus)]


def _cores(directory: Path, cpus: tuple[int, ...]) -> int:
    """Threads of one core share their list of siblings."""
    siblings = {read(directory / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu) for cpu in cpus}
    return len(siblings)


def _numbered_cores(nodes: list[NumaNode]) -> dict[int, tuple[int, ...]]:
    """The cores of each node, numbered through in the order of the nodes' first processors."""
    numbered, start = {node.index: tuple[int, ...]() for node in nodes}, 0
    for node in sorted((node for node in nodes if node.cpus), key=lambda node: min(node.cpus)):
        numbered[node.index] = tuple(range(start, start + node.cores))
        start += node.cores
    return numbered


def _virtual_devices(sysfs: Path, devices: list[PciDevice]) -> Iterator[VirtualDevice]:
    by_name = {device.name: device for device in devices}
    for interface in interfaces.interfaces(sysfs, {}):
        if interfaces.is_virtual(sysfs / "class" / "net" / interface.name):
            yield VirtualDevice(interface.name, by_name.get(interface.backing))
