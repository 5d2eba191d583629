"""Huge pages for SPDK: how many on each NUMA node, and what dead programs left behind (storage.md 3)."""

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daos_control.faults import ControlError, Fault
from daos_control.storage import mounts
from daos_control.storage.nvme import address
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.host import LOCK_DIRECTORY, LOCK_PREFIX, Host, lock_holder

PAGES_FOR_SCAN = 128
PAGES_DEFAULT = 1024
PAGES_MAX = 2**31 - 1

_MAP_FILE = re.compile(r"^spdk_pid(\d+)map")
_NODE_PAGES = re.compile(r"^nodes_hp\[(\d+)\]=(\d+)$")


@dataclass(frozen=True, slots=True)
class Allocation:
    """The total that one node is to have."""

    node: int
    pages: int


def encode_nodes(wanted: Mapping[int, int]) -> str:
    """Pages by node, in the form of the helper's request: "nodes_hp[0]=128,nodes_hp[1]=128"."""
    return ",".join(f"nodes_hp[{node}]={pages}" for node, pages in sorted(wanted.items()))


def decode_nodes(text: str) -> dict[int, int]:
    """The reverse; ControlError where it has another form."""
    found = {}
    for part in filter(None, text.split(",")):
        match = _NODE_PAGES.match(part)
        if match is None or int(match[2]) > PAGES_MAX:
            raise ControlError(f"huge pages are given as {part!r}, where nodes_hp[N]=M is wanted")
        found[int(match[1])] = int(match[2])
    return found


def share(count: int, nodes: Sequence[int], host: Host) -> str:
    """`count` pages shared evenly by `nodes`; a node that has more already keeps what it has."""
    each = count // max(len(nodes), 1)
    totals = {pages.node: pages.total for pages in host.pages}
    return encode_nodes({node: max(each, totals.get(node, 0)) for node in nodes})


def plan(host: Host, nodes: str, count: int) -> tuple[Allocation, ...]:
    """What each node gets: as `nodes` says, else `count` pages (1024 for 0) on node 0. Never fewer than there are.
    ControlError for a node that the host does not have."""
    wanted = decode_nodes(nodes) if nodes else {0: count or PAGES_DEFAULT}
    totals = {pages.node: pages.total for pages in host.pages}
    for node in wanted:
        if node not in totals:
            known = ", ".join(str(number) for number in sorted(totals)) or "none"
            raise ControlError(f"huge pages are asked for on NUMA node {node}, and this host has {known}")
    return tuple(Allocation(node, pages) for node, pages in sorted(wanted.items()) if pages > totals[node])


def huge_page_mounts(all_mounts: Sequence[mounts.Mount]) -> list[Path]:
    """Where files of huge pages are."""
    return [Path(mount.path) for mount in all_mounts if mount.filesystem == "hugetlbfs"]


def clean_map_files(directories: Iterable[Path], proc: Path = Path("/proc")) -> int:
    """Remove the files of huge pages whose program has died, which else hold their memory; how many there were."""
    removed = 0
    for directory in directories:
        for name in _names(directory):
            match = _MAP_FILE.match(name)
            if match is None or (proc / match[1]).exists():
                continue
            with contextlib.suppress(FileNotFoundError):
                (directory / name).unlink()
                removed += 1
    return removed


def clean_lock_files(
    allowed: frozenset[PciAddress],
    blocked: frozenset[PciAddress],
    *,
    all_devices: bool,
    directory: Path = LOCK_DIRECTORY,
) -> list[str]:
    """Remove SPDK's lock files of devices, of all or of those that are allowed and not blocked, unless a program
    holds the lock; the paths of those removed."""
    removed = []
    for name in _names(directory):
        if not name.startswith(LOCK_PREFIX):
            continue
        path = directory / name
        if not all_devices:
            try:
                found = PciAddress.parse(name.removeprefix(LOCK_PREFIX))
            except Fault:  # a name that is no address is nobody's device
                continue
            if not allowed or not address.chosen(found, allowed, blocked):
                continue
        if lock_holder(path) is not None:
            continue
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            removed.append(os.fspath(path))
    return removed


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 the names are what is matched
    except OSError:
        return []
