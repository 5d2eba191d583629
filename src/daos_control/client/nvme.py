"""NVMe devices of the servers: bind one, hand one to an engine, and their LEDs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daos_control.client.connection import Client, Method, Req, Resp, ctl
from daos_control.client.fanout import HostResult, fan_out
from daos_control.client.model import HostGroup, HostsResponse, fold, fold_errors
from daos_control.client.storage_key import storage_key
from daos_control.client.storage_types import HostStorage, SmdDevice, SmdInfo
from daos_control.faults import ControlError
from daos_control.faults.status import describe
from daos_control.proto.ctl import common_pb2, smd_pb2, storage_pb2

REBIND = ctl("StorageNvmeRebind", storage_pb2.NvmeRebindReq, storage_pb2.NvmeRebindResp)
ADD_DEVICE = ctl("StorageNvmeAddDevice", storage_pb2.NvmeAddDeviceReq, storage_pb2.NvmeAddDeviceResp)
SMD_MANAGE = ctl("SmdManage", smd_pb2.SmdManageReq, smd_pb2.SmdManageResp)

FIRST_TIER: Final = -1


@dataclass(frozen=True, slots=True)
class LedResponse(HostsResponse):
    """The devices with their LEDs, of hosts with equal ones together; `groups` is None where no host answered."""

    groups: tuple[HostGroup[HostStorage], ...] | None


async def rebind(client: Client, hosts: Sequence[str], address: str) -> HostsResponse:
    """Bind the device at a PCI address to a driver that engines can use."""
    return await _one_answer(client, hosts, REBIND, storage_pb2.NvmeRebindReq(pci_addr=address))


async def add_device(
    client: Client, hosts: Sequence[str], address: str, *, engine: int, tier: int = FIRST_TIER
) -> HostsResponse:
    """Let an engine use one more device: in that tier, or in its first one with block devices."""
    request = storage_pb2.NvmeAddDeviceReq(pci_addr=address, engine_index=engine, storage_tier_index=tier)
    return await _one_answer(client, hosts, ADD_DEVICE, request)


async def led_check(client: Client, hosts: Sequence[str] | None, ids: str) -> LedResponse:
    """The LEDs of the devices with these uuids or PCI addresses, separated by commas; of all for ""."""
    return await _led(client, hosts, smd_pb2.LedManageReq(ids=ids, led_action=smd_pb2.GET))


async def led_identify(client: Client, hosts: Sequence[str] | None, ids: str, *, minutes: int = 0) -> LedResponse:
    """Let LEDs blink; for 0 minutes as long as the engine's own default says."""
    request = smd_pb2.LedManageReq(
        ids=ids, led_action=smd_pb2.SET, led_state=smd_pb2.QUICK_BLINK, led_duration_mins=minutes
    )
    return await _led(client, hosts, request)


async def led_reset(client: Client, hosts: Sequence[str] | None, ids: str) -> LedResponse:
    """Put LEDs back to what they showed before."""
    return await _led(client, hosts, smd_pb2.LedManageReq(ids=ids, led_action=smd_pb2.RESET))


async def _one_answer(
    client: Client, hosts: Sequence[str], method: Method[Req, Resp], request: Req
) -> HostsResponse:
    results = await fan_out(client, client.pick_hosts(hosts), method, request)
    return HostsResponse(fold_errors([(r.address, e) for r in results if (e := _failure(r)) is not None]))


def _failure(result: HostResult[Resp]) -> Exception | None:
    if result.error is not None:
        return result.error
    state = getattr(result.message, "state", None)
    if state is None or state.status == common_pb2.CTL_SUCCESS:
        return None
    text = state.error or common_pb2.ResponseStatus.Name(state.status)
    return ControlError(f"{text} ({state.info})" if state.info else text)


async def _led(client: Client, hosts: Sequence[str] | None, request: smd_pb2.LedManageReq) -> LedResponse:
    asked = smd_pb2.SmdManageReq(led=request)
    results = await fan_out(client, client.pick_hosts(hosts), SMD_MANAGE, asked)
    failures: list[tuple[str, Exception]] = []
    answered: list[tuple[str, HostStorage]] = []
    for result in results:
        if result.error is not None:
            failures.append((result.address, result.error))
        elif result.message is not None:
            failed = _failed_devices(result.message)
            if failed:
                failures.append((result.address, ControlError(", ".join(failed))))
            answered.append((result.address, _devices(result.message)))
    return LedResponse(fold_errors(failures), fold(answered, storage_key) if answered else None)


def _failed_devices(message: smd_pb2.SmdManageResp) -> list[str]:
    found = []
    for rank in message.ranks:
        for result in rank.results:
            if result.status != 0:
                name = result.device.uuid or result.device.ctrlr.pci_addr
                found.append(f"rank {rank.rank}: {name + ' ' if name else ''}{describe(result.status)}")
    return found


def _devices(message: smd_pb2.SmdManageResp) -> HostStorage:
    devices = []
    for rank in message.ranks:
        for result in rank.results:
            if result.HasField("device"):
                device = smd_pb2.SmdDevice()
                device.CopyFrom(result.device)
                device.rank = rank.rank
                devices.append(SmdDevice.from_proto(device))
    return HostStorage(smd_info=SmdInfo(tuple(devices)) if devices else None)
