"""NUMA nodes of this host, their cores and PCI buses, out of sysfs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys")

_NODE = re.compile(r"^node(\d+)$")
_ADDRESS = re.compile(r"^[0-9a-fA-F]{4,}:([0-9a-fA-F]{2}):[0-9a-fA-F]{2}\.[0-7]$")


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A NUMA node: `cpus` are the kernel's numbers of its processors, `cores` counts physical cores."""

    index: int
    cpus: tuple[int, ...]
    cores: int


def numa_nodes(sysfs: Path = SYSFS) -> list[NumaNode]:
    """All nodes that have processors; a kernel without NUMA counts as one node with all of them."""
    root = sysfs / "devices" / "system"
    directory = root / "node"
    found = {int(m[1]): directory / m[0] for d in _children(directory) if (m := _NODE.match(d.name))}
    cpus = {index: tuple(cpu_list(_read(path / "cpulist"))) for index, path in found.items()}
    if not any(cpus.values()):
        cpus = {0: tuple(cpu_list(_read(root / "cpu" / "online")))}
    return [
        NumaNode(index, cpus[index], _cores(root / "cpu", cpus[index])) for index in sorted(cpus) if cpus[index]
    ]


def pci_buses(numa_node: int, sysfs: Path = SYSFS) -> tuple[int, int] | None:
    """The lowest and the highest PCI bus of a node; None where it has none."""
    buses = []
    for device in _children(sysfs / "bus" / "pci" / "devices"):
        match = _ADDRESS.match(device.name)
        if match and max(int(_read(device / "numa_node") or 0), 0) == numa_node:
            buses.append(int(match[1], 16))
    return (min(buses), max(buses)) if buses else None


def cpu_list(text: str) -> Iterator[int]:
    """The numbers of a list as "0-3,8"."""
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _cores(directory: Path, cpus: tuple[int, ...]) -> int:
    """Threads of one core share their list of siblings."""
    siblings = {_read(directory / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu) for cpu in cpus}
    return len(siblings)


def _children(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
