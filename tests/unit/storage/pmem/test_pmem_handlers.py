"""Persistent memory in the server's answers: storage scan and firmware."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daos_control.faults import Code, Fault
from daos_control.faults import pmem as faults
from daos_control.proto.ctl import common_pb2, firmware_pb2, storage_scm_pb2
from daos_control.server import ctl_firmware_scm, ctl_storage_scm
from daos_control.server.ctl_storage_scm import ScmScanner
from daos_control.server.storage_settings import StorageSettings
from daos_control.storage import namespaces
from daos_control.storage.api import Class, EngineStorage, ScmTier
from daos_control.storage.pmem import messages
from daos_control.storage.pmem.messages import ScmScanReply
from daos_control.storage.pmem.model import Module
from daos_control.storage.pmem.operations import Pmem

MODULE = Module(1, 2, 3, 4, 5, 6, "uid", "part", "fw", "Healthy")
MESSAGE = storage_scm_pb2.ScmModule(
    channelid=1,
    channelposition=2,
    controllerid=3,
    socketid=4,
    physicalid=5,
    capacity=6,
    uid="uid",
    partNumber="part",
    firmwareRevision="fw",
    healthState="Healthy",
)


@dataclass
class Scanner:
    """Answers with a module, or fails; keeps what was asked."""

    fault: Fault | None = None
    asked: list[bool] = field(default_factory=list)

    async def scan(self, *, socket: int | None = None, in_config: bool = False) -> ScmScanReply:
        self.asked.append(in_config)
        if self.fault:
            raise self.fault
        return ScmScanReply((MODULE,))


@pytest.fixture(autouse=True)
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctl_storage_scm.namespaces, "scan", lambda configured: ())


def scan(pmem: Scanner, storage_class: Class) -> storage_scm_pb2.ScanScmResp:
    device = Path("/dev/pmem0") if storage_class is Class.DCPM else None
    storage = EngineStorage(0, ScmTier(storage_class, Path("/mnt/daos0"), size_gib=1, device=device), ())
    host = cast(Any, SimpleNamespace(storage=storage, index=0))
    scanner = ScmScanner([host], cast(Any, None), StorageSettings(False, (1,), ("",)), pmem)
    return asyncio.run(scanner.scan(storage_scm_pb2.ScanScmReq()))


@pytest.mark.parametrize(("storage_class", "in_config"), [(Class.DCPM, True), (Class.RAM, False)])
def test_a_scan_tells_modules_where_there_are_no_namespaces(storage_class: Class, in_config: bool) -> None:
    pmem = Scanner()
    reply = scan(pmem, storage_class)
    assert list(reply.modules) == [MESSAGE]
    assert pmem.asked == [in_config]


def test_a_scan_that_finds_namespaces_asks_for_no_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    found = namespaces.Namespace("pmem0", "namespace0.0", "uuid", 0, 512)
    monkeypatch.setattr(ctl_storage_scm.namespaces, "scan", lambda configured: (found,))
    pmem = Scanner()
    reply = scan(pmem, Class.DCPM)
    assert ([n.blockdev for n in reply.namespaces], len(reply.modules), pmem.asked) == (["pmem0"], 0, [])


def test_what_keeps_modules_from_being_listed_is_in_the_state_where_they_are_to_be_used() -> None:
    fault = faults.discovery_failed("broken")
    reply = scan(Scanner(fault), Class.DCPM)
    assert (reply.state.status, "broken" in reply.state.error) == (common_pb2.CTL_ERR_SCM, True)
    reply = scan(Scanner(fault), Class.RAM)
    assert (reply.state.status, reply.state.error) == (common_pb2.CTL_SUCCESS, "")


class Helper:
    """In place of the helper's client."""

    def __init__(self, *replies: object) -> None:
        self.replies = list(replies)
        self.requests: list[object] = []

    async def call(self, request: object) -> object:
        self.requests.append(request)
        return self.replies.pop(0)


def pmem_of(helper: Helper) -> Pmem:
    return Pmem(cast(Any, helper))


def test_firmware_of_modules_is_told_with_its_errors() -> None:
    results = (
        messages.ModuleFirmware(MODULE, messages.FirmwareInfo("1", "2", 4096, 1)),
        messages.ModuleFirmware(MODULE, None, "broken"),
    )
    helper = Helper(messages.ScmFirmwareQueryReply(results))
    request = firmware_pb2.FirmwareQueryReq(deviceIDs=["uid"], modelID="part", firmwareRev="fw")
    first, second = asyncio.run(ctl_firmware_scm.query(pmem_of(helper), request))
    assert helper.requests == [messages.ScmFirmwareQuery(device_uids=("uid",), model_id="part", firmware_rev="fw")]
    assert first.module == second.module == MESSAGE
    assert (first.activeVersion, first.stagedVersion, first.imageMaxSizeBytes, first.updateStatus, first.error) == (
        *("1", "2", 4096, 1),
        "",
    )
    assert (second.error, second.activeVersion) == ("broken", "")


def test_updates_of_modules_are_told_one_by_one() -> None:
    results: Sequence[messages.ModuleUpdate] = (
        messages.ModuleUpdate(MODULE),
        messages.ModuleUpdate(MODULE, "broken"),
    )
    helper = Helper(messages.ScmFirmwareUpdateReply(tuple(results)))
    request = firmware_pb2.FirmwareUpdateReq(firmwarePath="/fw", deviceIDs=["uid"])
    found = asyncio.run(ctl_firmware_scm.update(pmem_of(helper), request))
    assert helper.requests == [messages.ScmFirmwareUpdate(firmware_path="/fw", device_uids=("uid",))]
    assert [(r.module, r.error) for r in found] == [(MESSAGE, ""), (MESSAGE, "broken")]


def test_every_fault_says_what_to_do() -> None:
    for fault in (faults.not_healthy(1), faults.several_regions(0), faults.not_prepared("FreeCapacity")):
        assert fault.resolution
        assert fault.code in (Code.SCM_BAD_REGION, Code.SCM_INVALID_PMEM)
