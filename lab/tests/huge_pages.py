"""Huge pages of each NUMA node, taken and given back through sysfs."""

from pathlib import Path

from lab.hardware import NODES
from lab.tests.commands import read

PAGE_KIB = 2048


def count(node: int) -> int:
    return int(read(_file(node)))


def allocate(node: int, pages: int) -> int:
    """Ask for this many pages on a node; how many the kernel found."""
    _file(node).write_text(str(pages))
    return count(node)


def release_all() -> None:
    for node in NODES:
        allocate(node, 0)


def _file(node: int) -> Path:
    return Path(f"/sys/devices/system/node/node{node}/hugepages/hugepages-{PAGE_KIB}kB/nr_hugepages")
