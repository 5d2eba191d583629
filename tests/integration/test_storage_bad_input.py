"""Storage that is not as it should be: each case has a clear fault, and nothing is changed."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import journal, memory, mounts, signatures
from daos_control.storage.api import BdevTier, Class, EngineStorage, Role, ScmState, ScmTier
from daos_control.storage.helper import locks, protocol, scm
from daos_control.storage.helper import steps as step_runner
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from daos_control.storage.memory import MemorySnapshot
from fakes.fake_server_process import server
from integration.storage_devices import (
    FOREIGN,
    attach,
    contents,
    dcpm,
    names,
    private_loop,
    ram,
    reattach,
    remove_loop,
    run,
)  # fmt: skip

pytestmark = pytest.mark.root
pytest_plugins = ["integration.storage_fixtures"]

WIPING_WORDS = {"force", "--force", "reformat", "wipe", "erase"}


@pytest.fixture
def manager() -> StorageManager:
    return StorageManager(HelperClient(), allow_no_dax=True)


# A device that vanishes


@pytest.mark.asyncio
@pytest.mark.parametrize("before", ["claim", "wipe", "mkfs", "mount"])
async def test_a_device_that_vanishes_during_its_format_fails_it_and_goes_on_when_it_is_back(
    area: Path, manager: StorageManager, before: str
) -> None:
    image = area / "device.img"
    device = private_loop(image)
    storage = dcpm(area / "daos0", device)
    request = manager._scm_request(protocol.ScmFormat, storage, force=False)
    _, found, _ = scm._judge(request)
    assert found is not None
    steps = scm.device_steps(request, storage.scm.mount, found)
    at = next(number for number, step in enumerate(steps) if step.name == before)
    step_runner.run(scm.FORMAT, steps[:at])
    remove_loop(device)

    with pytest.raises(Fault) as caught:
        step_runner.run(scm.FORMAT, steps[at:])
    assert os.fspath(device) in caught.value.description
    assert mounts.at(storage.scm.mount) is None

    storage = dcpm(storage.scm.mount, reattach(image))  # it comes back under another number
    begun = before != "claim"
    assert await manager.scm_state(storage) is (ScmState.INCOMPLETE if begun else ScmState.UNFORMATTED)
    await manager.format_scm(storage, force=False)
    assert await manager.scm_state(storage) is ScmState.MOUNTED


# Mount points


@pytest.mark.asyncio
@pytest.mark.parametrize("with_directory", [False, True])
async def test_a_mount_that_another_one_hides_is_told_and_nothing_is_formatted_in_front_of_it(
    area: Path, manager: StorageManager, with_directory: bool
) -> None:
    storage = ram(area / "mnt" / "daos0")
    await manager.format_scm(storage, force=False)
    (storage.scm.mount / "superblock").write_text("valid")
    mounts.mount("tmpfs", area / "mnt", "tmpfs", 0, "size=1m")
    if with_directory:
        storage.scm.mount.mkdir()

    assert manager.scm_usage(storage) is None
    for attempt in (manager.scm_state(storage), manager.format_scm(storage, force=True)):
        with pytest.raises(Fault, match="is hidden by") as caught:
            await attempt
        assert caught.value.code == Code.STORAGE_TARGET_ALREADY_MOUNTED
        assert "do not format" in caught.value.resolution
        assert not WIPING_WORDS & set(caught.value.resolution.lower().split())
    assert names(area / "mnt") == ["daos0"] * with_directory
    assert not with_directory or names(storage.scm.mount) == []

    mounts.unmount(area / "mnt")
    assert await manager.scm_state(storage) is ScmState.MOUNTED
    assert (storage.scm.mount / "superblock").read_text() == "valid"


@pytest.mark.asyncio
async def test_a_mount_point_inside_another_mount_or_below_a_link_leaves_what_is_around_it_alone(
    area: Path, manager: StorageManager
) -> None:
    (area / "outer").mkdir()
    mounts.mount("tmpfs", area / "outer", "tmpfs", 0, "size=1m")
    (area / "outer" / "precious").write_text("data")
    (area / "link").symlink_to(area / "outer")
    storage = ram(area / "link" / "daos0")

    await manager.format_scm(storage, force=False)

    assert mounts.at(area / "outer" / "daos0") is not None
    assert await manager.scm_state(storage) is ScmState.MOUNTED
    await manager.unmount_scm(storage)
    assert (area / "outer" / "precious").read_text() == "data"
    assert mounts.at(area / "outer") is not None


# Kernel devices and the device of the control metadata


def kdev(area: Path, device: Path) -> EngineStorage:
    scm_tier = ScmTier(Class.RAM, area / "daos0", size_gib=1)
    return EngineStorage(0, scm_tier, (BdevTier(1, Class.KDEV, (os.fspath(device),)),))


def metadata(area: Path, device: Path) -> EngineStorage:
    roles = Role.DATA | Role.META | Role.WAL
    tier = BdevTier(1, Class.FILE, ("/nowhere",), 1, roles)
    scm_tier = ScmTier(Class.RAM, area / "daos0", size_gib=1)
    return EngineStorage(0, scm_tier, (tier,), metadata_path=area / "md", metadata_device=device)


def missing(area: Path) -> Path:
    return area / "missing"


def no_device(area: Path) -> Path:
    (area / "file").write_text("precious")
    return area / "file"


def read_only(area: Path) -> Path:
    return attach(area / "ro.img", "--read-only")


def partitioned(area: Path) -> Path:
    device = attach(area / "table.img")
    FOREIGN["partition table"](device)
    return device


def elsewhere(area: Path) -> Path:
    device = attach(area / "home.img")
    FOREIGN["ext4 of somebody else"](device)
    (area / "home").mkdir()
    mounts.mount(os.fspath(device), area / "home", "ext4", 0, "")
    (area / "home" / "precious").write_text("data")
    run("sync", "-f", os.fspath(area / "home"))
    return device


BAD_DEVICES: list[tuple[Callable[[Path], Path], bool, str, Code, Code]] = [
    # what, also with force, its fault's words, code as class kdev, code as control_metadata.device
    (missing, True, "does not exist", Code.BDEV_FORMAT_FAILURE, Code.SCM_FORMAT_MISSING_DEVICE),
    (no_device, True, "not a block device", Code.BDEV_FORMAT_FAILURE, Code.SCM_FORMAT_MISSING_DEVICE),
    (read_only, True, "read-only", Code.BDEV_FORMAT_FAILURE, Code.STORAGE_PATH_ACCESS_DENIED),
    (partitioned, False, "dos partition table", Code.BDEV_FORMAT_FAILURE, Code.STORAGE_ALREADY_FORMATTED),
    (
        elsewhere, True, "mounted at", Code.STORAGE_DEVICE_ALREADY_MOUNTED, Code.STORAGE_DEVICE_ALREADY_MOUNTED,
    ),
]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("case", BAD_DEVICES, ids=lambda case: case[0].__name__)
@pytest.mark.parametrize("use", ["kdev", "control metadata"])
async def test_a_bad_device_is_refused_and_not_one_byte_of_it_changes(
    area: Path, manager: StorageManager, case: tuple[Callable[[Path], Path], bool, str, Code, Code], use: str
) -> None:
    make, also_with_force, words, as_kdev, as_metadata = case
    device = make(area)
    before = contents(device) if device.exists() else b""
    for force in (False, True) if also_with_force else (False,):
        fault: Fault | None
        if use == "kdev":
            (result,) = await manager.format_bdevs(kdev(area, device), force=force)
            fault, code = result.error, as_kdev
        else:
            with pytest.raises(Fault) as caught:
                await manager.format_metadata([metadata(area, device)], force=force)
            fault, code = caught.value, as_metadata
        assert fault is not None
        assert fault.code == code
        assert words in fault.description
    assert (contents(device) if device.exists() else b"") == before
    assert journal.read(area / "md") is None


# Memory


def memory_of(gib: float) -> Callable[[], MemorySnapshot]:
    return lambda: MemorySnapshot(total_kib=int(gib) << 20, available_kib=int(gib * (1 << 20)), huge_page_kib=2048)


@pytest.mark.asyncio
async def test_a_ram_disk_that_would_not_fit_keeps_its_engine_from_starting(area: Path) -> None:
    small = StorageManager(HelperClient(), read_memory=memory_of(0.5))
    storage = ram(area / "daos0")
    with pytest.raises(Fault, match=r"921\.6 MiB are needed .*512\.0 MiB found") as caught:
        small.check_memory(storage)
    assert caught.value.code == Code.SCM_RAMDISK_LOW_MEM
    StorageManager(HelperClient(), read_memory=memory_of(1)).check_memory(storage)


@pytest.mark.asyncio
async def test_a_mounted_ram_disk_that_is_larger_than_configured_is_refused_and_kept(
    area: Path, manager: StorageManager
) -> None:
    await manager.format_scm(ram(area / "daos0", size_gib=2), force=False)
    (area / "daos0" / "superblock").write_text("valid")
    with pytest.raises(Fault, match=r"2\.0 GiB, more than the configured 1\.0 GiB") as caught:
        manager.check_memory(ram(area / "daos0", size_gib=1))
    assert caught.value.code == Code.SCM_RAMDISK_BAD_SIZE
    assert "set scm_size to 2 " in caught.value.resolution
    assert (area / "daos0" / "superblock").read_text() == "valid"


@pytest.mark.asyncio
async def test_a_ram_disk_larger_than_memory_keeps_the_server_from_starting(tmp_path: Path) -> None:
    async with server(tmp_path) as made:
        made.config["engines"][0]["storage"][0]["scm_size"] = 1 << 20
        made.start()
        assert await made.exit_status() == 1
        assert f"code = {int(Code.SERVER_CONFIG_RAMDISK_OVER_MAX_MEM)}" in made.output()
        total = memory.snapshot().total_kib / (1 << 20)
        assert f"{total:.1f} GiB, less 0.2 GiB of huge pages, 1 GiB of system_ram_reserved" in made.output()
        assert not any(name.startswith("mnt") for name in names(tmp_path))


# One device under two names


@pytest.mark.asyncio
async def test_one_device_by_two_names_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "bdev").write_text("")
    (tmp_path / "alias").symlink_to(tmp_path / "bdev")
    async with server(tmp_path, 2) as made:
        for engine, name in zip(made.config["engines"], ("bdev", "alias"), strict=True):
            engine["storage"].append({"class": "file", "bdev_list": [str(tmp_path / name)], "bdev_size": 1})
        made.config["allow_thp"] = True
        made.start()
        assert await made.exit_status() == 1
        assert "engines[1].storage[1].bdev_list[0]" in made.output()
        assert f"(named {tmp_path / 'bdev'})" in made.output()


# Requests that meet


@pytest.mark.asyncio
async def test_of_two_formats_of_one_device_at_once_one_is_done_and_one_refused(
    area: Path, device: Path, manager: StorageManager
) -> None:
    storage = dcpm(area / "daos0", device)
    other = StorageManager(HelperClient(), allow_no_dax=True)  # knows nothing of the first one's locks
    outcomes = await asyncio.gather(
        manager.format_scm(storage, force=False), other.format_scm(storage, force=False), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 1
    assert isinstance(refused[0], Fault)
    assert refused[0].code == Code.STORAGE_ALREADY_FORMATTED
    assert await manager.scm_state(storage) is ScmState.MOUNTED
    assert len([m for m in mounts.current() if m.path == str(storage.scm.mount)]) == 1
    await manager.unmount_scm(storage)
    run("e2fsck", "-fn", os.fspath(device))
    assert [signature.kind for signature in signatures.probe(device)] == ["ext4"]


def test_a_request_does_not_wait_for_ever_for_another_on_the_same_device(
    area: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.1)
    request = protocol.ScmMount(class_="dcpm", target=str(area / "daos0"), device=str(device))
    with device.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(Fault, match=f"at work on {device}") as caught, locks.held(request):
            pass
    assert caught.value.code == Code.PRIVILEGED_HELPER_REQUEST_FAILED
    with locks.held(request):
        pass


def test_who_only_looks_takes_no_lock_and_who_changes_something_does(area: Path) -> None:
    common = {"owner_uid": 0, "owner_gid": 0}
    place = str(area / "a" / "b")
    requests: dict[str, protocol.Request] = {
        "ScmCheckFormat": protocol.ScmCheckFormat(mountpoint=place, **common),
        "ScmFormat": protocol.ScmFormat(mountpoint=place, **common),
        "ScmMount": protocol.ScmMount(class_="ram", target=place),
        "ScmUnmount": protocol.ScmUnmount(target=place),
        "MetadataMount": protocol.MetadataMount(root_path=place),
        "MetadataUnmount": protocol.MetadataUnmount(root_path=place),
        "MetadataFormat": protocol.MetadataFormat(root_path=place, data_path=place, **common),
        "MetadataNeedsFormat": protocol.MetadataNeedsFormat(root_path=place, data_path=place, **common),
        "BdevFormat": protocol.BdevFormat(properties=protocol.BdevProperties("file", (place,)), **common),
    }
    for name, request in requests.items():
        assert locks.resources(request) == (set() if name == "ScmCheckFormat" else {area}), name
