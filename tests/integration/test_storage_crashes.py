"""Kill -9 before, during and after every step of a format: what is found afterwards, and that it can go on."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import devices, journal, mounts, signatures
from daos_control.storage.api import BdevTier, Class, EngineStorage, Role, ScmState, ScmTier
from daos_control.storage.helper import metadata, protocol, scm
from daos_control.storage.helper.steps import KILL_AT, Step
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from integration.storage_devices import FOREIGN, attach, contents, dcpm, ram, run

pytestmark = pytest.mark.root
pytest_plugins = ["integration.storage_fixtures"]

_REQUEST = protocol.ScmFormat(mountpoint="/nowhere", owner_uid=0, owner_gid=0)
_DEVICE = devices.Device(Path("/dev/null"), "0:0", 0, False, False, "none", (), (), ())
RAM_STEPS = scm.ram_steps(_REQUEST, Path("/nowhere"))
DEVICE_STEPS = scm.device_steps(_REQUEST, Path("/nowhere"), _DEVICE)


def places(steps: Sequence[Step]) -> list[str]:
    """Every place where a format can be cut off; programs also in their middle."""
    return [
        f"{step.name}:{when}"
        for step in steps
        for when in (("before", "during", "after") if step.name == "mkfs" else ("before", "after"))
    ]


def after(place: str, step: str, steps: Sequence[Step]) -> bool:
    """Whether at this place of a format the named step is done."""
    names = [s.name for s in steps]
    name, when = place.split(":")
    return names.index(name) > names.index(step) or (name == step and when == "after")


@pytest.fixture
def manager() -> StorageManager:
    return StorageManager(HelperClient(), allow_no_dax=True)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch, manager: StorageManager) -> Callable[..., object]:
    """Format, and have the helper killed at a place."""

    async def format_and_kill(storage: EngineStorage, place: str, *, force: bool = False) -> None:
        with monkeypatch.context() as patch:
            patch.setenv(KILL_AT, f"{scm.FORMAT}:{place}")
            with pytest.raises(Fault, match="killed by signal 9") as caught:
                await manager.format_scm(storage, force=force)
            assert caught.value.code == Code.PRIVILEGED_HELPER_REQUEST_FAILED

    return format_and_kill


@pytest.mark.asyncio
@pytest.mark.parametrize("place", places(RAM_STEPS))
async def test_a_ram_disk_goes_on_after_a_kill_at_any_step(
    area: Path, manager: StorageManager, killed: Callable[..., object], place: str
) -> None:
    storage = ram(area / "daos0")
    await killed(storage, place)  # type: ignore[misc]

    begun, complete = after(place, "journal", RAM_STEPS), after(place, "complete", RAM_STEPS)
    expected = ScmState.MOUNTED if complete else ScmState.INCOMPLETE if begun else ScmState.UNFORMATTED
    assert await manager.scm_state(storage) is expected

    if not complete:
        await manager.format_scm(storage, force=False)
    assert await manager.scm_state(storage) is ScmState.MOUNTED
    assert len([m for m in mounts.current() if m.path == str(storage.scm.mount)]) == 1
    assert journal.read(storage.scm.mount) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("place", places(DEVICE_STEPS))
async def test_a_device_goes_on_after_a_kill_at_any_step(
    area: Path, device: Path, manager: StorageManager, killed: Callable[..., object], place: str
) -> None:
    storage = dcpm(area / "daos0", device)
    blank = contents(device)
    await killed(storage, place)  # type: ignore[misc]

    begun, complete = after(place, "journal", DEVICE_STEPS), after(place, "complete", DEVICE_STEPS)
    expected = ScmState.MOUNTED if complete else ScmState.INCOMPLETE if begun else ScmState.UNFORMATTED
    assert await manager.scm_state(storage) is expected
    if not begun:
        assert contents(device) == blank

    if not complete:
        await manager.format_scm(storage, force=False)
    assert await manager.scm_state(storage) is ScmState.MOUNTED
    assert journal.read(storage.scm.mount) is None
    await manager.unmount_scm(storage)
    run("e2fsck", "-fn", os.fspath(device))


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["claim:after", "journal:after", "wipe:after", "mkfs:during", "mkfs:after"])
async def test_a_forced_format_over_foreign_data_never_leaves_the_device_foreign_once_begun(
    area: Path, device: Path, manager: StorageManager, killed: Callable[..., object], place: str
) -> None:
    FOREIGN["btrfs"](device)
    before = contents(device)
    storage = dcpm(area / "daos0", device)
    await killed(storage, place, force=True)  # type: ignore[misc]

    if not after(place, "journal", DEVICE_STEPS):
        assert await manager.scm_state(storage) is ScmState.FOREIGN
        assert contents(device) == before
        return
    assert await manager.scm_state(storage) is ScmState.INCOMPLETE
    if place == "wipe:after":
        assert signatures.probe(device) == ()
    await manager.format_scm(storage, force=False)
    assert [signature.kind for signature in signatures.probe(device)] == ["ext4"]


@pytest.mark.asyncio
async def test_a_forced_format_of_our_own_is_untouched_until_the_journal_is_written(
    area: Path, device: Path, manager: StorageManager, killed: Callable[..., object]
) -> None:
    storage = dcpm(area / "daos0", device)
    await manager.format_scm(storage, force=False)
    (storage.scm.mount / "superblock").write_text("valid")
    await killed(storage, "claim:after", force=True)  # type: ignore[misc]

    assert await manager.scm_state(storage) is ScmState.MOUNTABLE
    await manager.mount_scm(storage)
    assert (storage.scm.mount / "superblock").read_text() == "valid"


@pytest.mark.asyncio
async def test_what_somebody_puts_on_a_device_after_a_cut_off_format_is_not_ours_to_wipe(
    area: Path, device: Path, manager: StorageManager, killed: Callable[..., object]
) -> None:
    storage = dcpm(area / "daos0", device)
    await killed(storage, "mkfs:before")  # type: ignore[misc]
    FOREIGN["ext4 of somebody else"](device)

    assert await manager.scm_state(storage) is ScmState.FOREIGN
    with pytest.raises(Fault) as caught:
        await manager.format_scm(storage, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED


@pytest.mark.asyncio
async def test_the_record_of_a_cut_off_format_says_nothing_about_another_device(
    area: Path, device: Path, manager: StorageManager, killed: Callable[..., object]
) -> None:
    storage = dcpm(area / "daos0", device)
    await killed(storage, "mkfs:after")  # type: ignore[misc]
    other = dcpm(area / "other", attach(area / "other.img"))
    await manager.format_scm(other, force=False)
    await manager.unmount_scm(other)

    assert other.scm.device is not None
    swapped = dcpm(storage.scm.mount, other.scm.device)
    assert await manager.scm_state(swapped) is ScmState.MOUNTABLE


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["journal:after", "mkfs:before", "mkfs:after", "mount:after", "data:after"])
async def test_the_metadata_device_goes_on_after_a_kill(
    area: Path, device: Path, manager: StorageManager, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    bdev = BdevTier(1, Class.FILE, ("/nowhere",), 1, Role.DATA | Role.META | Role.WAL)
    scm_tier = ScmTier(Class.RAM, area / "daos0", size_gib=1)
    storage = EngineStorage(0, scm_tier, (bdev,), metadata_path=area / "md", metadata_device=device)
    with monkeypatch.context() as patch:
        patch.setenv(KILL_AT, f"{metadata.FORMAT}:{place}")
        with pytest.raises(Fault, match="killed by signal 9"):
            await manager.format_metadata([storage])

    assert await manager.metadata_needs_format(storage)
    await manager.format_metadata([storage])
    assert not await manager.metadata_needs_format(storage)
    assert storage.metadata_dir.is_dir()
