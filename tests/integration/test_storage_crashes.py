"""Formats that were cut off, and the storage of others; `test_storage_kill_table` has every place of a cut."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.api import EngineStorage, ScmState
from daos_control.storage.helper import scm
from daos_control.storage.helper.steps import KILL_AT
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from integration.storage_devices import FOREIGN, attach, dcpm

pytestmark = pytest.mark.root
pytest_plugins = ["integration.storage_fixtures"]


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
