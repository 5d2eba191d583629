"""Memory of the host as /proc/meminfo and sysfs tell, and whether RAM disks fit (storage.md 4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daos_control.faults import ControlError
from daos_control.faults import storage as faults

KIB, GIB = 1 << 10, 1 << 30

_AVAILABLE_PERCENT_MIN = 90
_LINE = re.compile(r"^(?:Node (?P<node>\d+) +)?(?P<key>[^:]+): +(?P<value>\d+)(?P<unit> kB)?$")
_NODE = re.compile(r"^node(\d+)$")


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """Memory of one NUMA node; huge pages are counts of the default size."""

    node: int
    huge_total: int = 0
    huge_free: int = 0
    huge_surplus: int = 0
    total_kib: int = 0
    free_kib: int = 0
    used_kib: int = 0


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """Memory of the whole host at one moment."""

    huge_total: int = 0
    huge_free: int = 0
    huge_reserved: int = 0
    huge_surplus: int = 0
    huge_page_kib: int = 0
    total_kib: int = 0
    free_kib: int = 0
    available_kib: int = 0
    nodes: tuple[NodeMemory, ...] = ()

    @property
    def available_bytes(self) -> int:
        return self.available_kib * KIB


def snapshot(root: Path = Path("/")) -> MemorySnapshot:
    """The memory now; `root` is the directory that has proc and sys. ControlError where it cannot be read."""
    try:
        host = parse((root / "proc/meminfo").read_text(encoding="ascii"))
        nodes = root / "sys/devices/system/node"
        names = sorted((d.name for d in nodes.iterdir() if _NODE.match(d.name)) if nodes.is_dir() else ())
        found = []
        for name in names:
            file = nodes / name / "meminfo"
            if file.exists():
                found.append(_node(int(name[4:]), parse(file.read_text(encoding="ascii"))))
    except (OSError, ValueError) as error:
        raise ControlError(f"the memory of this host cannot be read: {error}") from error
    return MemorySnapshot(
        huge_total=host.get("HugePages_Total", 0),
        huge_free=host.get("HugePages_Free", 0),
        huge_reserved=host.get("HugePages_Rsvd", 0),
        huge_surplus=host.get("HugePages_Surp", 0),
        huge_page_kib=host.get("Hugepagesize", 0),
        total_kib=host.get("MemTotal", 0),
        free_kib=host.get("MemFree", 0),
        available_kib=host.get("MemAvailable", 0),
        nodes=tuple(sorted(found, key=lambda node: node.node)),
    )


def parse(text: str) -> Mapping[str, int]:
    """The figures of a meminfo file, of the host or of a node; sizes in KiB, as the kernel gives them."""
    matches = (_LINE.match(line) for line in text.splitlines())
    return {match["key"]: int(match["value"]) for match in matches if match}


def check_available(ramdisk_bytes: int, memory: MemorySnapshot, *, reclaimed_bytes: int = 0) -> None:
    """Before RAM disks of that size together are mounted: Fault 214 where less than 90 % of it is available.
    `reclaimed_bytes` are used now by RAM disks that the new ones take the place of."""
    need = ramdisk_bytes * _AVAILABLE_PERCENT_MIN // 100
    have = memory.available_bytes + reclaimed_bytes
    if have < need:
        parts = f"{_AVAILABLE_PERCENT_MIN} % of them"
        raise faults.ramdisk_low_memory("Available", ramdisk_bytes, need, have, parts=parts)


def check_existing(mount: Path, existing_bytes: int, configured_bytes: int) -> None:
    """Fault 215 where a RAM disk that is mounted already is larger than configured (smaller is taken as it is)."""
    if existing_bytes > configured_bytes:
        raise faults.ramdisk_bad_size(str(mount), existing_bytes, configured_bytes)


def _node(number: int, figures: Mapping[str, int]) -> NodeMemory:
    return NodeMemory(
        node=number,
        huge_total=figures.get("HugePages_Total", 0),
        huge_free=figures.get("HugePages_Free", 0),
        huge_surplus=figures.get("HugePages_Surp", 0),
        total_kib=figures.get("MemTotal", 0),
        free_kib=figures.get("MemFree", 0),
        used_kib=figures.get("MemUsed", 0),
    )
