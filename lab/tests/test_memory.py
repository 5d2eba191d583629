"""Huge pages and RAM disks on the node that they are asked of."""

import os
from pathlib import Path

import pytest

from daos_control.storage import memory, mounts
from daos_control.storage.api import Class, EngineStorage, ScmState, ScmTier
from daos_control.storage.manager import StorageManager
from lab.hardware import MEMORY_MIB, NODES
from lab.tests import huge_pages

pytestmark = pytest.mark.usefixtures("no_huge_pages")

PAGES = 64
WRITTEN_MIB = 48


def shared_mib(node: int) -> float:
    """Memory of RAM disks on a node."""
    text = Path(f"/sys/devices/system/node/node{node}/meminfo").read_text(encoding="ascii")
    return memory.parse(text)["Shmem"] / 1024


def huge_shared_kib() -> int:
    """Memory of RAM disks that is in huge pages."""
    return memory.parse(Path("/proc/meminfo").read_text(encoding="ascii"))["ShmemHugePages"]


def test_huge_pages_are_taken_evenly_from_both_nodes_and_the_snapshot_tells_it() -> None:
    assert [huge_pages.allocate(node, PAGES) for node in NODES] == [PAGES] * len(NODES)

    now = memory.snapshot()

    assert now.huge_page_kib == huge_pages.PAGE_KIB
    assert now.huge_total == PAGES * len(NODES)
    assert [node.huge_total for node in now.nodes] == [PAGES] * len(NODES)
    assert [node.huge_free for node in now.nodes] == [PAGES] * len(NODES)
    assert all(0.85 * MEMORY_MIB < node.total_kib / 1024 <= MEMORY_MIB for node in now.nodes)


def test_pages_asked_of_one_node_never_come_from_the_other() -> None:
    """Huge pages unevenly spread, and more than a node has: the kernel gives what there is, and says so."""
    found = huge_pages.allocate(1, MEMORY_MIB * 1024 // huge_pages.PAGE_KIB)

    assert 0 < found < MEMORY_MIB * 1024 // huge_pages.PAGE_KIB
    assert huge_pages.count(0) == 0
    assert [node.huge_total for node in memory.snapshot().nodes] == [0, found]


def test_a_huge_page_is_really_there_to_be_written() -> None:
    huge_pages.allocate(0, 4)
    file = Path("/dev/hugepages/lab")
    size = 2 * huge_pages.PAGE_KIB * 1024
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        now = memory.snapshot()
        assert (now.huge_total, now.huge_free) == (4, 2)
    finally:
        os.close(descriptor)
        file.unlink()
    assert memory.snapshot().huge_free == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("node", NODES)
async def test_a_ram_disk_takes_its_memory_from_the_node_of_its_engine(
    area: Path, manager: StorageManager, node: int
) -> None:
    storage = EngineStorage(node, ScmTier(Class.RAM, area / "daos", size_gib=1, numa_node=node), ())

    await manager.format_scm(storage, force=False)

    assert await manager.scm_state(storage) is ScmState.MOUNTED
    mount = mounts.at(storage.scm.mount)
    assert mount is not None
    assert f"mpol=prefer:{node}" in mount.super_options
    before = {number: shared_mib(number) for number in NODES}
    with (storage.scm.mount / "vos").open("wb") as file:
        for _ in range(WRITTEN_MIB):
            file.write(bytes(1 << 20))
    grown = {number: shared_mib(number) - before[number] for number in NODES}
    other = 1 - node
    assert grown[node] >= WRITTEN_MIB - 1
    assert grown[other] < WRITTEN_MIB / 4
    await manager.unmount_scm(storage)


@pytest.mark.asyncio
async def test_a_ram_disk_with_huge_pages_gets_them(area: Path, manager: StorageManager) -> None:
    tier = ScmTier(Class.RAM, area / "daos", size_gib=1, numa_node=0, huge_pages=True)
    storage = EngineStorage(0, tier, ())

    await manager.format_scm(storage, force=False)

    mount = mounts.at(storage.scm.mount)
    assert mount is not None
    assert "huge=always" in mount.super_options
    before = huge_shared_kib()
    with (storage.scm.mount / "vos").open("wb") as file:
        file.truncate(8 << 20)
        file.write(bytes(8 << 20))
    assert huge_shared_kib() - before >= 4 * huge_pages.PAGE_KIB
    await manager.unmount_scm(storage)
