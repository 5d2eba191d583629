"""What an engine's last process left of huge pages and locks is removed: for class nvme, and without a failure."""

from pathlib import Path
from typing import Any

import pytest

from daos_control.faults import ControlError
from daos_control.faults import pbin as faults
from daos_control.storage.api import BdevTier, Class, EngineStorage, ScmTier
from daos_control.storage.helper.protocol import Request
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from daos_control.storage.nvme.messages import BdevPrepare, BdevPrepareReply

A, B = "0000:81:00.0", "5d0505:01:00.0"


class Helper(HelperClient):
    """Keeps what it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.failure = failure

    async def call(self, request: Request) -> Any:
        self.asked.append(request)
        if self.failure is not None:
            raise self.failure
        return BdevPrepareReply(1, ("/var/tmp/spdk_pci_lock_0000:81:00.0",))


def storage(*tiers: tuple[Class, tuple[str, ...]]) -> EngineStorage:
    bdevs = tuple(BdevTier(index, kind, devices) for index, (kind, devices) in enumerate(tiers, start=1))
    return EngineStorage(0, ScmTier(Class.RAM, Path("/mnt/0")), bdevs)


@pytest.mark.asyncio
async def test_only_what_belongs_to_the_nvme_devices_of_the_engine_is_cleaned() -> None:
    helper = Helper()
    await StorageManager(helper).clean_up(storage((Class.NVME, (A,)), (Class.FILE, ("/f",)), (Class.NVME, (B,))))
    assert helper.asked == [
        BdevPrepare(clean_spdk_hugepages=True, clean_spdk_lockfiles=True, pci_allow_list=f"{A} {B}")
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("tiers", [(), ((Class.FILE, ("/f",)),), ((Class.KDEV, ("/dev/sdb",)),)])
async def test_without_nvme_devices_the_helper_is_not_started(tiers: Any) -> None:
    helper = Helper()
    await StorageManager(helper).clean_up(storage(*tiers))
    assert helper.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", [faults.helper_not_available("x", "gone"), ControlError("text only")])
async def test_a_failure_to_clean_is_logged_and_no_more(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await StorageManager(Helper(failure)).clean_up(storage((Class.NVME, (A,))))
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert str(failure) in record.getMessage()
