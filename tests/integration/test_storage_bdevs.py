"""Block device tiers, daos_nvme.conf and the control metadata area, on real files and devices."""

import os
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import mounts
from daos_control.storage.api import BdevTier, Class, EngineStorage, Role, ScmState, ScmTier
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from integration.storage_devices import FOREIGN, contents, names, run

pytestmark = pytest.mark.root
pytest_plugins = ["integration.storage_fixtures"]

ALL_ROLES = Role.DATA | Role.META | Role.WAL


@pytest.fixture
def manager() -> StorageManager:
    return StorageManager(HelperClient(), hostname="h", allow_no_dax=True)


def engine(area: Path, *tiers: BdevTier, metadata: bool = False, device: Path | None = None) -> EngineStorage:
    scm = ScmTier(Class.RAM, area / "daos0", size_gib=1)
    return EngineStorage(0, scm, tiers, metadata_path=area / "md" if metadata else None, metadata_device=device)


def files(*paths: Path, roles: Role = Role.NONE) -> BdevTier:
    return BdevTier(1, Class.FILE, tuple(map(os.fspath, paths)), 1, roles)


async def failure(manager: StorageManager, storage: EngineStorage, *, force: bool = False) -> Fault:
    """The one error of a format of block devices."""
    errors = [result.error for result in await manager.format_bdevs(storage, force=force) if result.error]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.asyncio
async def test_files_take_their_whole_space_and_can_be_made_again(area: Path, manager: StorageManager) -> None:
    storage = engine(area, files(area / "a", area / "b", roles=ALL_ROLES))
    for _ in range(2):
        results = await manager.format_bdevs(storage, force=False)
        assert [(r.device, r.roles, r.error) for r in results] == [
            (str(area / "a"), ALL_ROLES, None),
            (str(area / "b"), ALL_ROLES, None),
        ]
        for name in ("a", "b"):
            status = (area / name).stat()
            assert status.st_size == 1 << 30
            assert status.st_blocks * 512 >= 1 << 30
            assert status.st_mode & 0o777 == 0o660
    assert names(area) == ["a", "b"]


@pytest.mark.asyncio
async def test_a_file_that_is_not_ours_is_not_touched_without_force(area: Path, manager: StorageManager) -> None:
    path = area / "important"
    path.write_text("precious")
    storage = engine(area, files(path))
    assert (await failure(manager, storage)).code == Code.BDEV_FORMAT_FAILURE
    assert path.read_text() == "precious"

    os.truncate(path, 1 << 30)
    run("mkfs.ext4", "-q", os.fspath(path))
    assert "ext4" in (await failure(manager, storage)).description

    assert all(result.error is None for result in await manager.format_bdevs(storage, force=True))


@pytest.mark.asyncio
async def test_what_is_no_regular_file_is_refused_even_with_force(area: Path, manager: StorageManager) -> None:
    (area / "target").write_text("precious")
    (area / "link").symlink_to(area / "target")
    (area / "directory").mkdir()
    for path in (area / "link", area / "directory", Path("relative"), area / "missing" / "a"):
        assert (await failure(manager, engine(area, files(path)), force=True)).code == Code.BDEV_FORMAT_FAILURE
    assert (area / "target").read_text() == "precious"


@pytest.mark.asyncio
async def test_no_room_for_a_file_is_said_and_leaves_nothing(area: Path, manager: StorageManager) -> None:
    small = area / "small"
    small.mkdir()
    mounts.mount("tmpfs", small, "tmpfs", 0, "size=8m")
    fault = await failure(manager, engine(area, files(small / "a")))
    assert "no room" in fault.description
    assert list(small.iterdir()) == []


@pytest.mark.asyncio
async def test_a_kernel_device_is_left_alone_and_a_foreign_or_busy_one_refused(
    area: Path, device: Path, manager: StorageManager
) -> None:
    storage = engine(area, BdevTier(1, Class.KDEV, (os.fspath(device),)))
    before = contents(device)
    assert all(result.error is None for result in await manager.format_bdevs(storage, force=False))
    assert contents(device) == before

    FOREIGN["ext4 of somebody else"](device)
    assert "DAOS did not put there" in (await failure(manager, storage)).description
    (area / "elsewhere").mkdir()
    mounts.mount(os.fspath(device), area / "elsewhere", "ext4", 0, "")
    assert (await failure(manager, storage, force=True)).code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    mounts.unmount(area / "elsewhere")
    assert all(result.error is None for result in await manager.format_bdevs(storage, force=True))
    assert all(result.error is None for result in await manager.format_bdevs(storage, force=False))


@pytest.mark.asyncio
async def test_nvme_without_spdk_is_one_clear_fault(area: Path, manager: StorageManager) -> None:
    fault = await failure(manager, engine(area, BdevTier(1, Class.NVME, ("0000:81:00.0",))))
    assert fault.code == Code.MISSING_SOFTWARE_DEPENDENCY
    assert "SPDK" in fault.description


@pytest.mark.asyncio
async def test_the_nvme_configuration_is_written_kept_and_repaired(area: Path, manager: StorageManager) -> None:
    storage = engine(area, files(area / "a"))
    storage.scm.mount.mkdir()
    path = storage.nvme_config_path
    with pytest.raises(Fault, match="is missing") as caught:
        await manager.check_nvme_config(storage)
    assert "do not format" in caught.value.resolution

    await manager.write_nvme_config(storage)
    written = path.read_bytes()
    assert b"AIO_h_0_1_0" in written
    inode = path.stat().st_ino
    await manager.check_nvme_config(storage)
    assert path.stat().st_ino == inode

    path.write_bytes(written[:100])
    await manager.check_nvme_config(storage)
    assert path.read_bytes() == written


@pytest.mark.asyncio
async def test_an_engine_without_block_devices_has_no_nvme_configuration(
    area: Path, manager: StorageManager
) -> None:
    storage = engine(area)
    await manager.write_nvme_config(storage)
    await manager.check_nvme_config(storage)
    assert not storage.scm.mount.exists()


@pytest.mark.asyncio
async def test_the_metadata_directory_is_made_once_and_replaced_only_with_force(
    area: Path, manager: StorageManager
) -> None:
    storage = engine(area, files(area / "a", roles=ALL_ROLES), metadata=True)
    assert await manager.metadata_needs_format(storage)
    await manager.format_metadata([storage])
    assert not await manager.metadata_needs_format(storage)
    (storage.metadata_dir / "superblock").write_text("valid")

    with pytest.raises(Fault) as caught:
        await manager.format_metadata([storage])
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    assert (storage.metadata_dir / "superblock").read_text() == "valid"

    await manager.format_metadata([storage], force=True)
    assert list(storage.metadata_dir.iterdir()) == []
    assert [entry.name for entry in (area / "md").iterdir()] == ["daos_control"]


@pytest.mark.asyncio
async def test_metadata_on_nosuid_are_refused(area: Path, manager: StorageManager) -> None:
    (area / "md").mkdir()
    mounts.mount("tmpfs", area / "md", "tmpfs", 2, "size=1m")  # MS_NOSUID
    with pytest.raises(Fault) as caught:
        await manager.format_metadata([engine(area, metadata=True)])
    assert caught.value.code == Code.CONTROL_METADATA_BAD_FILESYSTEM


@pytest.mark.asyncio
async def test_metadata_on_a_device_outlive_an_unmount_and_keep_its_label(
    area: Path, device: Path, manager: StorageManager
) -> None:
    run("mkfs.ext4", "-q", "-L", "metadata", os.fspath(device))  # empty, as an administrator prepares it
    storage = engine(area, files(area / "a", roles=ALL_ROLES), metadata=True, device=device)
    assert await manager.metadata_needs_format(storage)
    await manager.format_metadata([storage])
    (storage.metadata_dir / "superblock").write_text("valid")
    mounts.unmount(area / "md")

    assert not await manager.metadata_needs_format(storage)
    assert (storage.metadata_dir / "superblock").read_text() == "valid"
    assert run("blkid", "-p", "-o", "value", "-s", "LABEL", os.fspath(device)).strip() == "metadata"


@pytest.mark.asyncio
async def test_a_metadata_device_with_somebodys_files_is_not_touched_without_force(
    area: Path, device: Path, manager: StorageManager
) -> None:
    run("mkfs.ext4", "-q", os.fspath(device))
    (area / "md").mkdir()
    mounts.mount(os.fspath(device), area / "md", "ext4", 0, "")
    (area / "md" / "file").write_text("precious")
    storage = engine(area, files(area / "a", roles=ALL_ROLES), metadata=True, device=device)

    assert await manager.metadata_needs_format(storage)
    with pytest.raises(Fault) as caught:
        await manager.format_metadata([storage])
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    assert (area / "md" / "file").read_text() == "precious"

    await manager.format_metadata([storage], force=True)
    assert not await manager.metadata_needs_format(storage)


@pytest.mark.asyncio
async def test_with_metadata_on_ssd_the_ram_disk_is_made_anew_at_each_start(
    area: Path, manager: StorageManager
) -> None:
    storage = engine(area, files(area / "a", roles=ALL_ROLES), metadata=True)
    for _ in range(2):
        await manager.format_scm(storage, force=True)
        assert await manager.scm_state(storage) is ScmState.MOUNTED
        assert list(storage.scm.mount.iterdir()) == []
        (storage.scm.mount / "vos-0").write_text("of the last run")
    assert len([m for m in mounts.current() if m.path == str(storage.scm.mount)]) == 1
