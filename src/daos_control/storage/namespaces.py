"""Persistent memory as block devices, out of sysfs."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daos_control.storage.devices import SECTOR_BYTES

_PMEM = re.compile(r"^pmem\d+(\.\d+)?s?$")
_NAMESPACE = re.compile(r"^(namespace|btt|pfn|dax)\d+\.\d+$")


@dataclass(frozen=True, slots=True)
class Namespace:
    """One block device that can be SCM: `block_device` as "pmem0", `device` its namespace as "namespace0.0"."""

    block_device: str
    device: str
    uuid: str
    numa_node: int
    size_bytes: int


def scan(configured: Iterable[Path], sysfs: Path = Path("/sys")) -> tuple[Namespace, ...]:
    """All persistent memory of this host, and the configured devices of class dcpm, whatever they are."""
    blocks = sysfs / "class" / "block"
    found = {entry.name for entry in blocks.iterdir() if _PMEM.match(entry.name)} if blocks.is_dir() else set()
    found |= {name for path in configured if (blocks / (name := Path(os.path.realpath(path)).name)).exists()}
    return tuple(_namespace(blocks / name) for name in sorted(found))


def _namespace(block: Path) -> Namespace:
    size, node = _read(block / "size"), _read(block / "device" / "numa_node")
    behind = Path(os.path.realpath(block / "device")).name
    return Namespace(
        block_device=block.name,
        device=behind if _NAMESPACE.match(behind) else "",
        uuid=_read(block / "device" / "uuid"),
        numa_node=max(int(node), 0) if node else 0,
        size_bytes=int(size or 0) * SECTOR_BYTES,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
