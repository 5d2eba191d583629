"""Persistent memory from its namespaces to a mounted SCM: what the kernel makes of it and what the product."""

import os
import re
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import devices, mounts, namespaces, signatures
from daos_control.storage.api import Class, EngineStorage, ScmState, ScmTier
from daos_control.storage.helper import scm
from daos_control.storage.helper.steps import KILL_AT
from daos_control.storage.manager import StorageManager
from lab.hardware import NODES
from lab.tests import dax, persistent_memory
from lab.tests.commands import read, run, run_json

pytestmark = pytest.mark.usefixtures("blank_pmem")


def dcpm(mount: Path, device: Path) -> EngineStorage:
    return EngineStorage(0, ScmTier(Class.DCPM, mount, device=device), ())


def test_a_namespace_takes_all_of_a_region_and_its_block_device_has_dax() -> None:
    assert not list(Path("/dev").glob("pmem*"))
    free = persistent_memory.free_bytes(0)

    made = persistent_memory.create(0)

    assert (made.mode, made.block_device.exists()) == ("fsdax", True)
    assert persistent_memory.free_bytes(0) == 0
    assert 0.9 * free < made.size_bytes <= free
    assert read(Path("/sys/class/block") / made.block_device.name / "queue/dax") == "1"
    assert devices.inspect(made.block_device).dax
    assert devices.inspect(made.block_device).signatures == ()


def test_modules_without_labels_have_a_raw_namespace_and_nothing_free() -> None:
    persistent_memory.forget_labels()
    regions = run_json("ndctl", "list", "--regions")
    assert [region["available_size"] for region in regions] == [0, 0]  # sysfs says that all of it is free
    found = namespaces.scan(())
    assert sorted(namespace.numa_node for namespace in found) == list(NODES)
    for namespace in found:
        assert read(persistent_memory.BUS / namespace.device / "mode") == "raw"
        assert read(Path("/sys/class/block") / namespace.block_device / "queue/dax") == "0"


def test_the_scan_tells_the_namespaces_of_both_nodes() -> None:
    made = {node: persistent_memory.create(node) for node in NODES}

    found = {namespace.numa_node: namespace for namespace in namespaces.scan(())}

    assert sorted(found) == sorted(NODES)
    for node, namespace in found.items():
        assert namespace.block_device == made[node].block_device.name
        assert namespace.uuid == made[node].uuid
        assert namespace.size_bytes == made[node].size_bytes
        assert re.match(r"^(namespace|pfn)\d+\.\d+$", namespace.device)


def test_several_namespaces_share_a_region() -> None:
    made = [persistent_memory.create(1, size_mib=128) for _ in range(3)]
    assert len({namespace.block_device for namespace in made}) == 3
    assert {namespace.numa_node for namespace in namespaces.scan(())} == {1}


def test_after_a_reset_nothing_is_left_of_a_namespace() -> None:
    made = persistent_memory.create(0)
    free_without = persistent_memory.free_bytes(0)
    persistent_memory.destroy(made)
    assert namespaces.scan(()) == ()
    assert persistent_memory.free_bytes(0) > free_without

    persistent_memory.create(0)
    persistent_memory.reset()
    assert not list(Path("/dev").glob("pmem*"))


@pytest.mark.asyncio
async def test_a_format_makes_the_documented_ext4_and_dax_is_really_in_effect(
    area: Path, manager: StorageManager
) -> None:
    storage = dcpm(area / "daos0", persistent_memory.create(0).block_device)
    assert await manager.scm_state(storage) is ScmState.UNFORMATTED

    await manager.format_scm(storage, force=False)

    assert await manager.scm_state(storage) is ScmState.MOUNTED
    mount = mounts.at(storage.scm.mount)
    assert mount is not None
    assert mount.filesystem == "ext4"
    assert "noatime" in mount.options
    assert mount.super_options & {"dax", "dax=always"}
    assert "nodelalloc" in mount.super_options
    file = storage.scm.mount / "file"
    file.write_bytes(bytes(2 << 20))
    assert dax.attribute(file)
    assert dax.maps_synchronously(file, b"written without a page cache")
    assert file.read_bytes().startswith(b"written without a page cache")
    found = run("dumpe2fs", "-h", os.fspath(storage.scm.device or ""))
    assert re.search(r"volume name: +daos$", found, re.M)
    assert re.search(r"Inode size:\s+128$", found, re.M)
    assert re.search(r"stride: +512$", found, re.M)


@pytest.mark.asyncio
async def test_what_was_written_outlives_unmounting_and_a_namespace_taken_away_and_given_back(
    area: Path, manager: StorageManager
) -> None:
    made = persistent_memory.create(0)
    storage = dcpm(area / "daos0", made.block_device)
    await manager.format_scm(storage, force=False)
    (storage.scm.mount / "superblock").write_text("stays")
    await manager.unmount_scm(storage)

    run("ndctl", "disable-namespace", made.name)
    with pytest.raises(Fault) as caught:
        await manager.scm_state(storage)
    assert caught.value.code == Code.SCM_FORMAT_MISSING_DEVICE
    run("ndctl", "enable-namespace", made.name)

    assert await manager.scm_state(storage) is ScmState.MOUNTABLE
    with pytest.raises(Fault) as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    await manager.mount_scm(storage)
    assert (storage.scm.mount / "superblock").read_text() == "stays"
    assert dax.attribute(storage.scm.mount / "superblock")


@pytest.mark.asyncio
async def test_a_reset_of_namespaces_erases_no_data_and_what_comes_back_is_not_formatted_over(
    area: Path, manager: StorageManager
) -> None:
    """The kernel only forgets where the namespace was. Made again at the same place, it holds what it held."""
    storage = dcpm(area / "daos0", persistent_memory.create(0).block_device)
    await manager.format_scm(storage, force=False)
    (storage.scm.mount / "superblock").write_text("stays")
    await manager.unmount_scm(storage)

    persistent_memory.reset()
    again = dcpm(area / "daos0", persistent_memory.create(0, blank=False).block_device)

    assert await manager.scm_state(again) is ScmState.MOUNTABLE
    await manager.mount_scm(again)
    assert (again.scm.mount / "superblock").read_text() == "stays"


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["journal:after", "mkfs:during", "mkfs:after", "mount:after"])
async def test_a_format_killed_on_persistent_memory_is_known_as_incomplete_and_resumed_with_dax(
    area: Path, manager: StorageManager, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    storage = dcpm(area / "daos0", persistent_memory.create(0).block_device)
    with monkeypatch.context() as patch:
        patch.setenv(KILL_AT, f"{scm.FORMAT}:{place}")
        with pytest.raises(Fault, match="killed by signal 9"):
            await manager.format_scm(storage, force=False)

    assert await manager.scm_state(storage) is ScmState.INCOMPLETE
    await manager.format_scm(storage, force=False)

    assert await manager.scm_state(storage) is ScmState.MOUNTED
    (storage.scm.mount / "file").write_bytes(bytes(4096))
    assert dax.attribute(storage.scm.mount / "file")


@pytest.mark.asyncio
async def test_a_foreign_file_system_on_persistent_memory_is_not_touched_without_force(
    area: Path, manager: StorageManager
) -> None:
    device = persistent_memory.create(0).block_device
    run("mkfs.xfs", "-q", "-m", "reflink=0", "-L", "precious", os.fspath(device))
    before = signatures.probe(device)
    storage = dcpm(area / "daos0", device)

    assert await manager.scm_state(storage) is ScmState.FOREIGN
    with pytest.raises(Fault, match="DAOS did not put there") as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    assert signatures.probe(device) == before
    run("xfs_repair", "-n", os.fspath(device))

    await manager.format_scm(storage, force=True)
    assert dax.attribute(storage.scm.mount / "lost+found") is False  # directories have none
    assert [signature.kind for signature in signatures.probe(device)] == ["ext4"]


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["sector"])
async def test_a_namespace_of_a_mode_without_dax_is_refused_untouched(
    area: Path, manager: StorageManager, mode: str
) -> None:
    device = persistent_memory.create(0, mode).block_device
    assert not devices.inspect(device).dax
    storage = dcpm(area / "daos0", device)

    with pytest.raises(Fault, match="DAX") as caught:
        await manager.format_scm(storage, force=False)

    assert os.fspath(device) in caught.value.description
    assert signatures.probe(device) == ()


@pytest.mark.asyncio
async def test_a_device_mounted_by_somebody_else_is_refused_even_with_force(
    area: Path, manager: StorageManager
) -> None:
    device = persistent_memory.create(1).block_device
    run("mkfs.ext4", "-q", "-L", "daos", os.fspath(device))
    elsewhere = area / "elsewhere"
    elsewhere.mkdir()
    mounts.mount(os.fspath(device), elsewhere, "ext4", 0, "")

    with pytest.raises(Fault, match=re.escape(f"mounted at {elsewhere}")) as caught:
        await manager.format_scm(dcpm(area / "daos0", device), force=True)
    assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED


@pytest.mark.asyncio
async def test_a_missing_mount_point_of_formatted_memory_is_not_said_in_words_that_invite_a_format(
    area: Path, manager: StorageManager
) -> None:
    storage = dcpm(area / "daos0", persistent_memory.create(0).block_device)
    await manager.format_scm(storage, force=False)
    await manager.unmount_scm(storage)
    storage.scm.mount.rmdir()

    with pytest.raises(Fault, match="holds a file system of DAOS") as caught:
        await manager.scm_state(storage)
    assert caught.value.code == Code.STORAGE_DEVICE_WITH_FS_NO_MOUNTPOINT
    assert "do not format" in caught.value.resolution
