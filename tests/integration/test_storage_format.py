"""Formatting SCM on real devices: what is made, and what is never touched."""

import os
import re
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import journal, mounts, signatures
from daos_control.storage.api import ScmState
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from integration.storage_devices import DEVICE_BYTES, FOREIGN, attach, contents, dcpm, ram, run

pytestmark = pytest.mark.root
pytest_plugins = ["integration.storage_fixtures"]


@pytest.fixture
def manager() -> StorageManager:
    return StorageManager(HelperClient(), allow_no_dax=True)


@pytest.mark.asyncio
async def test_a_ram_disk_is_formatted_mounted_used_and_unmounted(area: Path, manager: StorageManager) -> None:
    storage = ram(area / "deep" / "daos0")
    assert await manager.scm_state(storage) is ScmState.UNFORMATTED
    assert manager.scm_usage(storage) is None

    await manager.format_scm(storage, force=False)

    assert await manager.scm_state(storage) is ScmState.MOUNTED
    mount = mounts.at(storage.scm.mount)
    assert mount is not None
    assert mount.filesystem == "tmpfs"
    assert "noatime" in mount.options
    assert "size=1048576k" in mount.super_options
    assert storage.scm.mount.stat().st_mode & 0o777 == 0o775
    usage = manager.scm_usage(storage)
    assert usage is not None
    assert usage.total == 1 << 30
    assert journal.read(storage.scm.mount) is None

    with pytest.raises(Fault) as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED

    (storage.scm.mount / "superblock").write_text("gone after a forced format")
    await manager.format_scm(storage, force=True)
    assert list(storage.scm.mount.iterdir()) == []

    await manager.unmount_scm(storage)
    await manager.unmount_scm(storage)
    assert mounts.at(storage.scm.mount) is None


@pytest.mark.asyncio
async def test_a_device_gets_the_documented_ext4_and_its_content_outlives_a_remount(
    area: Path, device: Path, manager: StorageManager
) -> None:
    storage = dcpm(area / "daos0", device)
    assert await manager.scm_state(storage) is ScmState.UNFORMATTED

    await manager.format_scm(storage, force=False)

    assert await manager.scm_state(storage) is ScmState.MOUNTED
    found = run("dumpe2fs", "-h", os.fspath(device))
    assert re.search(r"volume name: +daos$", found, re.M)
    assert re.search(r"Inode size:\s+128$", found, re.M)
    assert re.search(r"Block size: +4096$", found, re.M)
    assert re.search(r"Reserved block count: +0$", found, re.M)
    assert re.search(r"Flex block group size:\s+128$", found, re.M)
    features = re.search(r"Filesystem features: +(.*)$", found, re.M)
    assert features is not None
    assert {"flex_bg", "sparse_super2"} <= set(features[1].split())
    assert not {"uninit_bg", "resize_inode", "extra_isize", "metadata_csum"} & set(features[1].split())
    mount = mounts.at(storage.scm.mount)
    assert mount is not None
    assert "noatime" in mount.options
    assert "nodelalloc" in mount.super_options

    (storage.scm.mount / "superblock").write_text("stays")
    await manager.unmount_scm(storage)
    assert await manager.scm_state(storage) is ScmState.MOUNTABLE
    with pytest.raises(Fault) as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    await manager.mount_scm(storage)
    await manager.mount_scm(storage)
    assert (storage.scm.mount / "superblock").read_text() == "stays"

    await manager.format_scm(storage, force=True)
    assert [entry.name for entry in storage.scm.mount.iterdir()] == ["lost+found"]


@pytest.mark.asyncio
@pytest.mark.parametrize("what", FOREIGN)
async def test_a_foreign_device_is_not_touched_without_force_and_becomes_only_ours_with_it(
    area: Path, device: Path, manager: StorageManager, what: str
) -> None:
    FOREIGN[what](device)
    before = contents(device)
    storage = dcpm(area / "daos0", device)

    assert await manager.scm_state(storage) is ScmState.FOREIGN
    with pytest.raises(Fault, match="DAOS did not put there") as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    assert contents(device) == before

    await manager.format_scm(storage, force=True)
    await manager.unmount_scm(storage)
    assert [signature.kind for signature in signatures.probe(device)] == ["ext4"]
    assert await manager.scm_state(storage) is ScmState.MOUNTABLE


@pytest.mark.asyncio
@pytest.mark.parametrize("force", [False, True])
async def test_a_device_mounted_elsewhere_is_refused_even_with_force(
    area: Path, device: Path, manager: StorageManager, force: bool
) -> None:
    run("mkfs.ext4", "-q", "-L", "daos", os.fspath(device))
    elsewhere = area / "elsewhere"
    elsewhere.mkdir()
    mounts.mount(os.fspath(device), elsewhere, "ext4", 0, "")
    (elsewhere / "file").write_text("precious")
    storage = dcpm(area / "daos0", device)

    assert await manager.scm_state(storage) is ScmState.FOREIGN
    with pytest.raises(Fault, match=re.escape(f"mounted at {elsewhere}")) as caught:
        await manager.format_scm(storage, force=force)
    assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    assert (elsewhere / "file").read_text() == "precious"


@pytest.mark.asyncio
async def test_swap_in_use_is_refused_even_with_force(area: Path, device: Path, manager: StorageManager) -> None:
    run("mkswap", os.fspath(device))
    run("swapon", os.fspath(device))
    try:
        with pytest.raises(Fault, match="used by swap") as caught:
            await manager.format_scm(dcpm(area / "daos0", device), force=True)
        assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    finally:
        run("swapoff", os.fspath(device))


@pytest.mark.asyncio
async def test_a_device_that_another_program_claims_is_refused(
    area: Path, device: Path, manager: StorageManager
) -> None:
    claim = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        with pytest.raises(Fault, match="another program") as caught:
            await manager.format_scm(dcpm(area / "daos0", device), force=True)
        assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    finally:
        os.close(claim)


@pytest.mark.asyncio
async def test_a_read_only_device_is_refused(area: Path, manager: StorageManager) -> None:
    device = attach(area / "ro.img", "--read-only")
    with pytest.raises(Fault, match="read-only") as caught:
        await manager.format_scm(dcpm(area / "daos0", device), force=False)
    assert caught.value.code == Code.STORAGE_PATH_ACCESS_DENIED
    assert journal.read(area / "daos0") is None


@pytest.mark.asyncio
async def test_a_device_that_is_missing_too_small_or_no_device_is_refused(
    area: Path, manager: StorageManager
) -> None:
    cases = {
        area / "missing": Code.SCM_FORMAT_MISSING_DEVICE,
        Path("/dev/null"): Code.SCM_FORMAT_MISSING_DEVICE,
        attach(area / "small.img", size=16 << 20): Code.SCM_FORMAT_INVALID_SIZE,
    }
    for device, code in cases.items():
        with pytest.raises(Fault) as caught:
            await manager.format_scm(dcpm(area / "daos0", device), force=True)
        assert caught.value.code == code


@pytest.mark.asyncio
async def test_without_leave_a_device_without_dax_is_refused_before_it_is_touched(area: Path, device: Path) -> None:
    before = contents(device)
    with pytest.raises(Fault, match="DAX") as caught:
        await StorageManager(HelperClient()).format_scm(dcpm(area / "daos0", device), force=True)
    assert caught.value.code == Code.SCM_INVALID_PMEM
    assert contents(device) == before
    assert journal.read(area / "daos0") is None


@pytest.mark.asyncio
async def test_a_missing_mount_point_is_reported_without_inviting_a_wipe(
    area: Path, device: Path, manager: StorageManager
) -> None:
    storage = dcpm(area / "daos0", device)
    await manager.format_scm(storage, force=False)
    await manager.unmount_scm(storage)
    storage.scm.mount.rmdir()
    before = contents(device)

    for attempt in (
        manager.scm_state(storage),
        manager.format_scm(storage, force=False),
        manager.mount_scm(storage),
    ):
        with pytest.raises(Fault) as caught:
            await attempt
        assert caught.value.code == Code.STORAGE_DEVICE_WITH_FS_NO_MOUNTPOINT
        assert "do not format" in caught.value.resolution
        assert "force" not in caught.value.resolution
    assert contents(device) == before

    storage.scm.mount.mkdir()
    assert await manager.scm_state(storage) is ScmState.MOUNTABLE


@pytest.mark.asyncio
async def test_a_mount_point_that_is_a_file_or_a_link_is_refused(area: Path, manager: StorageManager) -> None:
    (area / "file").write_text("content")
    (area / "link").symlink_to(area)
    for name in ("file", "link"):
        with pytest.raises(Fault) as caught:
            await manager.format_scm(ram(area / name), force=True)
        assert caught.value.code == Code.STORAGE_PATH_ACCESS_DENIED
    assert (area / "file").read_text() == "content"


@pytest.mark.asyncio
async def test_files_below_the_mount_point_are_hidden_but_never_removed(
    area: Path, manager: StorageManager
) -> None:
    storage = ram(area / "daos0")
    storage.scm.mount.mkdir()
    (storage.scm.mount / "precious").write_text("data")
    await manager.format_scm(storage, force=True)
    await manager.unmount_scm(storage)
    assert (storage.scm.mount / "precious").read_text() == "data"


@pytest.mark.asyncio
async def test_another_file_system_at_the_mount_point_is_foreign(
    area: Path, device: Path, manager: StorageManager
) -> None:
    mount_point = area / "daos0"
    mount_point.mkdir()
    mounts.mount("tmpfs", mount_point, "tmpfs", 0, "size=1m")
    storage = dcpm(mount_point, device)
    assert await manager.scm_state(storage) is ScmState.FOREIGN
    with pytest.raises(Fault) as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    with pytest.raises(Fault) as caught:
        await manager.mount_scm(storage)
    assert caught.value.code == Code.STORAGE_TARGET_ALREADY_MOUNTED


@pytest.mark.asyncio
async def test_a_busy_mount_is_reported_and_stays(area: Path, manager: StorageManager) -> None:
    storage = ram(area / "daos0")
    await manager.format_scm(storage, force=False)
    with (storage.scm.mount / "open").open("w"):
        with pytest.raises(Fault, match="a process uses it"):
            await manager.unmount_scm(storage)
        with pytest.raises(Fault, match="a process uses it"):
            await manager.format_scm(storage, force=True)
    assert (storage.scm.mount / "open").exists()


@pytest.mark.asyncio
async def test_a_device_with_large_sectors_is_formatted(area: Path, manager: StorageManager) -> None:
    device = attach(area / "4k.img", "--sector-size", "4096", size=DEVICE_BYTES)
    storage = dcpm(area / "daos0", device)
    await manager.format_scm(storage, force=False)
    assert await manager.scm_state(storage) is ScmState.MOUNTED
