"""Storage of the servers: scan it, format it, see how full it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daos_control.client import retry, system
from daos_control.client.connection import Client, Resp, ctl
from daos_control.client.errors import ManagementServiceUnreachableError, is_unavailable, is_uninitialized
from daos_control.client.fanout import HostResult, fan_out
from daos_control.client.model import HostGroup, HostsResponse, fold, fold_errors
from daos_control.client.storage_key import storage_key
from daos_control.client.storage_types import (
    HostStorage,
    NvmeController,
    ScmModule,
    ScmMountPoint,
    ScmNamespace,
    SmdDevice,
    SystemMemoryInfo,
)
from daos_control.faults import ControlError
from daos_control.faults import client as client_faults
from daos_control.proto.ctl import common_pb2, storage_nvme_pb2, storage_pb2, storage_scm_pb2

STORAGE_SCAN = ctl("StorageScan", storage_pb2.StorageScanReq, storage_pb2.StorageScanResp)
STORAGE_FORMAT = ctl("StorageFormat", storage_pb2.StorageFormatReq, storage_pb2.StorageFormatResp)

# A format writes file systems; large devices take their time.
FORMAT_TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class StorageResponse(HostsResponse):
    """Hosts with equal storage together; `groups` is None where no host answered."""

    groups: tuple[HostGroup[HostStorage], ...] | None

    @property
    def has_roles(self) -> bool:
        """Whether the system keeps metadata on SSDs: all hosts of one do."""
        return self.groups is not None and self.groups[0].content.has_roles


async def scan(
    client: Client,
    hosts: Sequence[str] | None = None,
    *,
    usage: bool = False,
    nvme_health: bool = False,
    nvme_basic: bool = False,
    mem_ratio: float = 0.0,
) -> StorageResponse:
    """Ask servers for their devices; with `usage` also how much of them engines have in use.

    `nvme_basic` leaves the details of NVMe devices out. `mem_ratio` (0..1) is the share of a new pool's metadata
    that is to be kept in memory, for the usable sizes. A host that fails is in `host_errors`.
    """
    request = storage_pb2.StorageScanReq(
        scm=storage_scm_pb2.ScanScmReq(usage=usage),
        nvme=storage_nvme_pb2.ScanNvmeReq(
            Basic=nvme_basic, Health=nvme_health or usage, Meta=usage, MemRatio=mem_ratio, LinkStats=nvme_health
        ),
    )
    results = await fan_out(client, client.pick_hosts(hosts), STORAGE_SCAN, request)
    return _response(results, _scanned)


async def usage(client: Client, hosts: Sequence[str] | None = None, *, mem_ratio: float = 0.0) -> StorageResponse:
    """How full the storage is: `scan` with usage."""
    return await scan(client, hosts, usage=True, mem_ratio=mem_ratio)


async def format(
    client: Client,
    hosts: Sequence[str] | None = None,
    *,
    force: bool = False,
    replace: bool = False,
    report: Callable[[HostResult[storage_pb2.StorageFormatResp]], None] | None = None,
) -> StorageResponse:
    """Format the storage of servers whose engines wait for it.

    `force` formats anew what is formatted already; `replace` lets an engine with lost metadata take its old rank
    again. Refused with Fault 509 while a management service answers for the system, or on one of `hosts`.
    `report` is called as each host finishes.
    """
    await _check_not_running(client, hosts)
    request = storage_pb2.StorageFormatReq(
        nvme=storage_nvme_pb2.FormatNvmeReq(),
        scm=storage_scm_pb2.FormatScmReq(),
        reformat=force,
        replace=replace,
    )
    results = await fan_out(
        client,
        client.pick_hosts(hosts),
        STORAGE_FORMAT,
        request,
        timeout=FORMAT_TIMEOUT_SECONDS,
        report=report,
    )
    return _response(results, _formatted)


async def _check_not_running(client: Client, hosts: Sequence[str] | None) -> None:
    """Without `hosts` the whole system would be formatted, so any replica that answers stands in the way; with
    them, only one that runs there."""
    for asked in [(host,) for host in client.addresses(hosts)] if hosts else [None]:
        try:
            await system.query(client, hosts=asked, policy=retry.QUERY_OR_FAIL)
        except ControlError as e:
            unreachable = isinstance(e, ManagementServiceUnreachableError)
            if not (is_unavailable(e) or is_uninitialized(e) or unreachable):
                raise
        else:
            raise client_faults.format_running_system()


def _response(
    results: Sequence[HostResult[Resp]], convert: Callable[[Resp, list[Exception]], HostStorage]
) -> StorageResponse:
    failures: list[tuple[str, Exception]] = []
    answered: list[tuple[str, HostStorage]] = []
    for result in results:
        if result.error is not None:
            failures.append((result.address, result.error))
        elif result.message is not None:
            errors: list[Exception] = []
            answered.append((result.address, convert(result.message, errors)))
            failures += [(result.address, error) for error in errors]
    return StorageResponse(fold_errors(failures), fold(answered, storage_key) if answered else None)


def _scanned(message: storage_pb2.StorageScanResp, errors: list[Exception]) -> HostStorage:
    """What a scan found; a part of it that failed is an error of the host and empty."""
    nvme: tuple[NvmeController, ...] = ()
    modules: tuple[ScmModule, ...] = ()
    namespaces: tuple[ScmNamespace, ...] = ()
    if message.nvme.state.status == common_pb2.CTL_SUCCESS:
        nvme = tuple(NvmeController.from_proto(c) for c in message.nvme.ctrlrs)
    else:
        errors.append(_scan_error(message.nvme.state))
    if message.scm.state.status == common_pb2.CTL_SUCCESS:
        modules = tuple(ScmModule.from_proto(m) for m in message.scm.modules)
        namespaces = tuple(ScmNamespace.from_proto(n) for n in message.scm.namespaces)
    else:
        errors.append(_scan_error(message.scm.state))
    memory = SystemMemoryInfo.from_proto(message.sys_mem_info) if message.HasField("sys_mem_info") else None
    return HostStorage(nvme_devices=nvme, scm_modules=modules, scm_namespaces=namespaces, mem_info=memory)


def _formatted(message: storage_pb2.StorageFormatResp, errors: list[Exception]) -> HostStorage:
    """What was formatted; a device that failed is an error of the host."""
    devices: list[NvmeController] = []
    for device in message.crets:
        if device.state.status != common_pb2.CTL_SUCCESS:
            errors.append(_format_error(device.state))
        elif device.pci_addr:
            devices.append(
                NvmeController(
                    info=device.state.info or "CTL_SUCCESS",
                    pci_addr=device.pci_addr,
                    smd_devices=(SmdDevice.of_roles(device.role_bits),),
                )
            )
    mounts: list[ScmMountPoint] = []
    for mount in message.mrets:
        if mount.state.status != common_pb2.CTL_SUCCESS:
            errors.append(_format_error(mount.state))
        else:
            mounts.append(ScmMountPoint(info=mount.state.info or "CTL_SUCCESS", path=mount.mntpoint))
    return HostStorage(nvme_devices=tuple(devices), scm_mount_points=tuple(mounts))


def _scan_error(state: common_pb2.ResponseState) -> ControlError:
    text = state.error or "unknown error"
    return ControlError(f"{text} ({state.info})" if state.info else text)


def _format_error(state: common_pb2.ResponseState) -> ControlError:
    status = common_pb2.ResponseStatus.Name(state.status)
    return ControlError(state.error or f"{status}: {state.info or 'unknown error'}")
