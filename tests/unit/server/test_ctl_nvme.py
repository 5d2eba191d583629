"""CtlSvc for NVMe devices: rebind, add, firmware, LEDs, and what is prepared before engines start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message

from daos_control.config.models import ServerConfig
from daos_control.drpc import Method
from daos_control.faults import Code, ControlError, Fault
from daos_control.faults import bdev as bdev_faults
from daos_control.faults import pbin as pbin_faults
from daos_control.proto.ctl import common_pb2, firmware_pb2, smd_pb2, storage_nvme_pb2, storage_pb2
from daos_control.server import nvme_preparation
from daos_control.server.ctl_nvme import LedHandler, NvmeHandlers
from daos_control.server.ctl_storage_nvme import NvmeScanner
from daos_control.server.storage_settings import StorageSettings
from daos_control.storage.api import BdevTier, Class, EngineStorage, Role, ScmTier
from daos_control.storage.helper.protocol import Request
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.nvme import huge_pages
from daos_control.storage.nvme.controller import NvmeController, NvmeHealth, NvmeNamespace
from daos_control.storage.nvme.host import Host, NodePages
from daos_control.storage.nvme.messages import BdevPrepare, BdevPrepareReply, BdevScan, BdevScanReply
from daos_control.storage.nvme.operations import Nvme

A, B = "0000:81:00.0", "0000:82:00.0"
FOUND = NvmeController(A, "m", health_stats=NvmeHealth(temperature=300), namespaces=(NvmeNamespace(1, 1 << 30),))


class Helper(HelperClient):
    """Keeps what it was asked, and finds one device."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.fault: Fault | None = None

    async def call(self, request: Request) -> Any:
        self.asked.append(request)
        if self.fault is not None:
            raise self.fault
        return BdevScanReply((FOUND,)) if isinstance(request, BdevScan) else BdevPrepareReply()


class Ops:
    """Writes daos_nvme.conf into a list."""

    def __init__(self) -> None:
        self.written: list[EngineStorage] = []

    async def write_nvme_config(self, storage: EngineStorage) -> None:
        self.written.append(storage)


def storage(index: int = 0, *devices: str, kind: Class = Class.NVME) -> EngineStorage:
    tiers = (BdevTier(1, kind, devices or (A,), roles=Role.DATA),)
    return EngineStorage(index, ScmTier(Class.RAM, Path(f"/mnt/{index}")), tiers)


@dataclass
class Engine:
    """An engine with devices, which answers dRPC."""

    index: int
    storage: EngineStorage
    is_started: bool = False
    is_ready: bool = False
    rank: int | None = None
    devices: Sequence[smd_pb2.SmdDevice] = ()
    led_status: int = 0
    leds: list[str] = field(default_factory=list)

    def change_storage(self, changed: EngineStorage) -> None:
        self.storage = changed

    async def stop(self, how: object) -> None: ...

    def notify_storage_ready(self, replace: bool = False) -> None: ...

    async def wait_until(self, condition: Callable[[Any], bool]) -> None: ...

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        if method is Method.SMD_LIST_DEVS:
            return smd_pb2.SmdDevResp(devices=self.devices)
        assert method is Method.LED_MANAGE
        assert isinstance(request, smd_pb2.LedManageReq)
        self.leds.append(request.ids)
        reply = smd_pb2.DevManageResp(status=self.led_status)
        if not self.led_status:
            reply.device.ctrlr.pci_addr, reply.device.ctrlr.led_state = request.ids, smd_pb2.QUICK_BLINK
        return reply


def handlers(*engines: Engine, helper: Helper | None = None, ops: Ops | None = None, **given: Any) -> NvmeHandlers:
    return NvmeHandlers(engines, ops or Ops(), Nvme(helper or Helper()), **given)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_rebind_prepares_that_device_alone() -> None:
    helper = Helper()
    reply = await handlers(helper=helper).rebind(storage_pb2.NvmeRebindReq(pci_addr=A))
    assert not reply.HasField("state")
    (asked,) = helper.asked
    assert isinstance(asked, BdevPrepare)
    assert (asked.pci_allow_list, asked.reset_, asked.target_user) == (A, False, nvme_preparation.running_user())


@pytest.mark.asyncio
async def test_a_failed_rebind_is_in_the_state() -> None:
    helper = Helper()
    helper.fault = bdev_faults.not_found([A])
    reply = await handlers(helper=helper).rebind(storage_pb2.NvmeRebindReq(pci_addr=A))
    assert reply.state.status == common_pb2.CTL_ERR_NVME
    assert A in reply.state.error
    assert "resolution" in reply.state.info


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("address", "given", "code"),
    [
        (A, {"disable_hugepages": True}, Code.STORAGE_HUGEPAGES_DISABLED),
        ("81:00", {}, Code.BDEV_BAD_PCI_ADDRESS),
        (A, {"excluded": [A]}, Code.STORAGE_DEVICE_ALREADY_MOUNTED),
    ],
)
async def test_devices_that_must_not_be_touched_are_refused(
    address: str, given: dict[str, Any], code: Code
) -> None:
    helper = Helper()
    served = handlers(Engine(0, storage()), helper=helper, **given)
    for work in (
        served.rebind(storage_pb2.NvmeRebindReq(pci_addr=address)),
        served.add_device(storage_pb2.NvmeAddDeviceReq(pci_addr=address, storage_tier_index=-1)),
    ):
        with pytest.raises(Fault) as caught:
            await work
        assert caught.value.code == code
    assert helper.asked == []


@pytest.mark.asyncio
async def test_a_device_is_added_in_its_order_and_twice_changes_nothing() -> None:
    engine, ops = Engine(0, storage(0, B)), Ops()
    served = handlers(engine, ops=ops)
    for _ in range(2):
        await served.add_device(storage_pb2.NvmeAddDeviceReq(pci_addr=A, storage_tier_index=-1))
        assert engine.storage.bdevs[0].devices == (A, B)
    assert ops.written == [engine.storage, engine.storage]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("engine", "tier", "says"),
    [(7, -1, "engine with index 7 not found"), (0, 3, "tier with index 3 not found"), (1, -1, "class file")],
)
async def test_a_device_for_what_is_not_there_is_refused(engine: int, tier: int, says: str) -> None:
    served = handlers(Engine(0, storage(0)), Engine(1, storage(1, "/f", kind=Class.FILE)))
    request = storage_pb2.NvmeAddDeviceReq(pci_addr=B, engine_index=engine, storage_tier_index=tier)
    with pytest.raises(ControlError, match=says):
        await served.add_device(request)


@pytest.mark.asyncio
async def test_a_device_of_another_engine_is_not_added() -> None:
    served = handlers(Engine(0, storage(0, A)), Engine(1, storage(1, B)))
    with pytest.raises(ControlError, match="belongs to engine 1"):
        await served.add_device(storage_pb2.NvmeAddDeviceReq(pci_addr=B, storage_tier_index=-1))


@pytest.mark.asyncio
async def test_firmware_is_not_updated_while_an_engine_runs() -> None:
    request = firmware_pb2.FirmwareUpdateReq(firmwarePath="/x", type=firmware_pb2.FirmwareUpdateReq.NVMe)
    with pytest.raises(Fault) as caught:
        await handlers(Engine(0, storage(), is_started=True, rank=3)).firmware_update(request)
    assert caught.value.code == Code.SERVER_INSTANCES_NOT_STOPPED
    with pytest.raises(ControlError, match="unidentified server rank is running"):
        await handlers(Engine(0, storage(), is_started=True)).firmware_update(request)


def device(uuid: str, address: str) -> smd_pb2.SmdDevice:
    return smd_pb2.SmdDevice(uuid=uuid, ctrlr=smd_pb2.NvmeController(pci_addr=address))


def running(rank: int, *devices: smd_pb2.SmdDevice) -> Engine:
    return Engine(rank, storage(rank), is_started=True, is_ready=True, rank=rank, devices=devices)


@pytest.mark.asyncio
async def test_leds_are_asked_once_for_each_address() -> None:
    one, two = running(1, device("u1", A), device("u2", A)), running(0, device("u3", B))
    ranks = await LedHandler([one, two]).manage(smd_pb2.LedManageReq(ids="u2,u3"))
    assert [(rank.rank, [r.device.ctrlr.pci_addr for r in rank.results]) for rank in ranks] == [(0, [B]), (1, [A])]
    assert (one.leds, two.leds) == ([A], [B])


@pytest.mark.asyncio
async def test_leds_of_unknown_devices_and_without_engines_are_refused() -> None:
    with pytest.raises(ControlError, match=r"ids requested but not found: .*nope"):
        await LedHandler([running(0, device("u", A))]).manage(smd_pb2.LedManageReq(ids="u,nope"))
    with pytest.raises(ControlError, match="not resolved to a PCI address"):
        await LedHandler([running(0, device("u", ""))]).manage(smd_pb2.LedManageReq(ids="u"))
    for engine, code in (
        (Engine(0, storage()), Code.SERVER_HARNESS_NOT_STARTED),
        (Engine(0, storage(), is_started=True), Code.SERVER_DATA_PLANE_NOT_STARTED),
    ):
        with pytest.raises(Fault) as caught:
            await LedHandler([engine]).manage(smd_pb2.LedManageReq())
        assert caught.value.code == code


@pytest.mark.asyncio
async def test_an_led_that_fails_names_its_device() -> None:
    engine = running(0, device("u", A))
    engine.led_status = -1010
    (rank,) = await LedHandler([engine]).manage(smd_pb2.LedManageReq())
    assert (rank.results[0].status, rank.results[0].device.ctrlr.pci_addr) == (-1010, A)


SETTINGS = StorageSettings(disable_hugepages=False, targets=(1,), metadata_caps=("",))


@pytest.mark.asyncio
async def test_a_scan_without_engines_asks_spdk_for_the_configured_devices() -> None:
    helper = Helper()
    scanner = NvmeScanner([Engine(0, storage())], SETTINGS, Nvme(helper))
    reply = await scanner.scan(storage_nvme_pb2.ScanNvmeReq(Health=True), [], seconds=1)
    assert helper.asked == [BdevScan(device_list=(A,))]
    (found,) = reply.ctrlrs
    assert (found.pci_addr, found.health_stats.temperature, found.dev_state) == (A, 300, smd_pb2.NORMAL)
    assert (found.smd_devices[0].role_bits, found.smd_devices[0].rank) == (1, 2**32 - 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("configured", "status"), [(True, common_pb2.CTL_ERR_NVME), (False, common_pb2.CTL_SUCCESS)]
)
async def test_missing_spdk_is_an_error_only_where_nvme_is_configured(configured: bool, status: int) -> None:
    helper = Helper()
    helper.fault = pbin_faults.missing_software("SPDK", "NVMe", "SPDK")
    engine = Engine(0, storage() if configured else replace(storage(), bdevs=()))
    scanner = NvmeScanner([engine], SETTINGS, Nvme(helper))
    reply = await scanner.scan(storage_nvme_pb2.ScanNvmeReq(), [], seconds=1)
    assert reply.state.status == status


@pytest.mark.asyncio
async def test_the_link_is_decoded_from_what_an_engine_sends() -> None:
    space = bytearray(256)
    space[6], space[0x34], space[0x60] = 0x10, 0x60, 0x10
    space[0x6C:0x70], space[0x72:0x74] = bytes.fromhex("436c4100"), bytes.fromhex("4200")
    found = device("u", A)
    found.ctrlr.dev_state, found.ctrlr.pci_cfg = smd_pb2.NORMAL, space.hex()

    class Healthy(Engine):
        async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
            if method is Method.BIO_HEALTH_QUERY:
                return smd_pb2.BioHealthResp(temperature=301)
            return await super().call(method, request, timeout=timeout)

    engine = Healthy(0, storage(), is_started=True, is_ready=True, rank=0, devices=[found])
    request = storage_nvme_pb2.ScanNvmeReq(Health=True, LinkStats=True)
    reply = await NvmeScanner([engine], SETTINGS).scan(request, [], seconds=1)
    health = reply.ctrlrs[0].health_stats
    assert (health.link_max_speed, health.link_neg_speed, health.link_max_width) == (8e9, 5e9, 4)


HOST = Host((), pages=(NodePages(0, 0, 0),))


def test_a_server_without_block_devices_prepares_nothing() -> None:
    config = ServerConfig.model_construct(engines=[object()], disable_hugepages=False)
    assert nvme_preparation.request(config, [replace(storage(), bdevs=())], [None], HOST) is None
    disabled = ServerConfig.model_construct(engines=[], disable_hugepages=True)
    assert nvme_preparation.request(disabled, [], [], HOST) is None


def test_a_server_without_engines_prepares_all_devices_but_excluded_ones() -> None:
    config = ServerConfig.model_construct(engines=[], nr_hugepages=128, bdev_exclude=[B])
    wanted = nvme_preparation.request(config, [], [], HOST)
    assert wanted is not None
    assert (wanted.pci_allow_list, wanted.pci_block_list, wanted.pages_only) == ("", B, False)
    assert wanted.huge_nodes == "nodes_hp[0]=128"


def test_huge_pages_are_shared_by_the_nodes_that_engines_were_found_to_run_on() -> None:
    tier = SimpleNamespace(class_="nvme", bdev_list=[A])
    engines = [SimpleNamespace(bdevs=[tier], pinned_numa_node=None) for _ in range(2)]
    config = ServerConfig.model_construct(engines=engines, nr_hugepages=2048)
    host = Host((), pages=(NodePages(0, 0, 0), NodePages(1, 0, 0)))
    storages = [storage(0, A), storage(1, B)]
    spread = nvme_preparation.request(config, storages, [1, 0], host)
    together = nvme_preparation.request(config, storages, [1, 1], host)
    assert spread is not None
    assert together is not None
    assert spread.huge_nodes == "nodes_hp[0]=1024,nodes_hp[1]=1024"
    assert together.huge_nodes == "nodes_hp[1]=2048"


@pytest.mark.asyncio
async def test_a_rebind_asks_for_huge_pages_on_the_nodes_of_the_engines() -> None:
    helper = Helper()
    await handlers(helper=helper, huge_count=2, nodes=[1]).rebind(storage_pb2.NvmeRebindReq(pci_addr=A))
    (asked,) = helper.asked
    assert isinstance(asked, BdevPrepare)
    assert list(huge_pages.decode_nodes(asked.huge_nodes)) == [1]
