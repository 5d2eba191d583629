"""CtlSvc for the storage of this host: scan and format.

A format is idempotent: what is formatted is left as it is and said to be so, what was begun is finished, and one
engine's failure does not keep another's storage from being formatted. One format runs at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from daos_control.faults import Code, ControlError, Fault
from daos_control.proto.ctl import common_pb2, storage_nvme_pb2, storage_pb2, storage_scm_pb2
from daos_control.server import superblock
from daos_control.server.ctl_storage_nvme import NvmeScanner
from daos_control.server.ctl_storage_scm import ScmScanner
from daos_control.server.instance import KILL
from daos_control.server.storage_host import FormatHost, has_emulated_bdevs
from daos_control.server.storage_results import NO_ADDRESS, device_result, memory_message, response_state
from daos_control.server.storage_settings import StorageSettings
from daos_control.storage import memory
from daos_control.storage.api import Class, EngineStorageOps, ScmState
from daos_control.storage.memory import MemorySnapshot
from daos_control.storage.nvme.operations import Nvme
from daos_control.storage.pmem.operations import PmemScanner

log = logging.getLogger(__name__)

_SKIPPED = "NVMe format skipped on instance {}, "


@dataclass(slots=True)
class _Progress:
    """One engine's way through a format. `formatted`: something was made; `skip_bdevs`: its SCM was in use, so its
    block devices are, too."""

    host: FormatHost
    needed: bool = False
    empty: bool = False
    formatted: bool = False
    skip_bdevs: bool = False
    error: Exception | None = None
    mount: storage_scm_pb2.ScmMountResult | None = None
    devices: list[storage_nvme_pb2.NvmeControllerResult] = field(default_factory=list)


class StorageHandlers:
    """StorageScan and StorageFormat.

    `release` is awaited before storage in use is formatted again: it lets go of what the server itself holds open
    there (the system database).
    """

    def __init__(
        self,
        hosts: Sequence[FormatHost],
        ops: EngineStorageOps,
        settings: StorageSettings,
        *,
        release: Callable[[], Awaitable[None]] | None = None,
        read_memory: Callable[[], MemorySnapshot] = memory.snapshot,
        pmem: PmemScanner | None = None,
        nvme: Nvme | None = None,
    ) -> None:
        self._hosts: Final = hosts
        self._ops: Final = ops
        self._settings: Final = settings
        self._release: Final = release
        self._read_memory: Final = read_memory
        self._scm: Final = ScmScanner(hosts, ops, settings, pmem)
        self._nvme: Final = NvmeScanner(hosts, settings, nvme)
        self._formatting: Final = asyncio.Lock()

    async def storage_scan(
        self, request: storage_pb2.StorageScanReq, *, seconds: float = 60.0
    ) -> storage_pb2.StorageScanResp:
        """What storage there is, and how much of it is in use. Answers within `seconds`, also where an engine that
        is starting does not become ready. Raises ControlError or Fault where it cannot be told."""
        scm = await self._scm.scan(request.scm)
        nvme = await self._nvme.scan(request.nvme, scm.namespaces, seconds=seconds)
        now = await asyncio.to_thread(self._read_memory)
        return storage_pb2.StorageScanResp(scm=scm, nvme=nvme, sys_mem_info=memory_message(now))

    async def storage_format(self, request: storage_pb2.StorageFormatReq) -> storage_pb2.StorageFormatResp:
        """Format what needs it, or all with `reformat`; results per mount point and device. Raises ControlError or
        Fault where nothing was formatted at all."""
        if not self._hosts:
            return storage_pb2.StorageFormatResp()
        async with self._formatting:
            if request.reformat and self._release is not None:
                await self._release()
            progress = [_Progress(host) for host in self._hosts]
            metadata_made = await self._format_metadata(force=request.reformat)
            await self._format_scm(progress, request)
            for one in progress:
                await self._format_bdevs(one, force=request.reformat, metadata_made=metadata_made)
            return self._finish(progress, metadata_made=metadata_made, replace=request.replace)

    async def _format_metadata(self, *, force: bool) -> bool:
        storages = [host.storage for host in self._hosts]
        if not force and not await self._ops.metadata_needs_format(storages[0]):
            return False
        if storages[0].metadata_path is None:
            return False
        await self._stop_engines(self._hosts, force=force)
        await self._ops.format_metadata(storages, force=force)
        return True

    async def _format_scm(self, progress: Sequence[_Progress], request: storage_pb2.StorageFormatReq) -> None:
        await asyncio.gather(*(self._examine(one, force=request.reformat) for one in progress))
        if request.replace and not any(one.needed for one in progress):
            raise ControlError(
                "format replace option only valid if at least one engine requires format but no engines need format"
            )
        if all(one.needed for one in progress):
            await asyncio.to_thread(self._check_memory)
        chosen = [one for one in progress if one.error is None and (one.needed or request.reformat)]
        await asyncio.gather(*(self._format_one(one, force=request.reformat) for one in chosen))
        for one in progress:
            info = ""
            if one.error is None and not one.formatted:
                info = "SCM is already formatted"
                # A RAM disk that is mounted and empty is as good as just formatted: the rest is still to be done.
                one.skip_bdevs = not one.empty or one.host.is_started
            one.mount = storage_scm_pb2.ScmMountResult(
                mntpoint=str(one.host.storage.scm.mount),
                instanceidx=one.host.index,
                state=response_state(one.error, common_pb2.CTL_ERR_SCM, info),
            )

    async def _examine(self, one: _Progress, *, force: bool) -> None:
        storage = one.host.storage
        try:
            state = await self._ops.scm_state(storage)
        except Fault as fault:
            if not (force and fault.code == Code.STORAGE_DEVICE_WITH_FS_NO_MOUNTPOINT):
                one.error = fault
            return
        one.needed = state in (ScmState.UNFORMATTED, ScmState.INCOMPLETE, ScmState.FOREIGN)
        if state is ScmState.MOUNTED and storage.scm.storage_class is Class.RAM:
            usage = self._ops.scm_usage(storage)
            one.empty = usage is not None and usage.total == usage.available

    def _check_memory(self) -> None:
        tiers = [host.storage.scm for host in self._hosts]
        if tiers[0].storage_class is Class.RAM:
            memory.check_available(sum(tier.size_gib for tier in tiers) * memory.GIB, self._read_memory())

    async def _format_one(self, one: _Progress, *, force: bool) -> None:
        try:
            await self._stop_engines([one.host], force=force)
            await self._ops.format_scm(one.host.storage, force=force)
            one.formatted = True
        except (Fault, ControlError) as error:
            log.error("engine %d: its SCM was not formatted: %s", one.host.index, error)
            one.error = error

    async def _stop_engines(self, hosts: Sequence[FormatHost], *, force: bool) -> None:
        for host in hosts:
            if host.is_started and not force:
                raise ControlError(f"instance {host.index}: can't format storage of running instance")
        running = [host for host in hosts if host.is_started]
        if running:
            log.info("killing engines whose storage is formatted again: %s", [host.index for host in running])
        await asyncio.gather(*(host.stop(KILL) for host in running))

    async def _format_bdevs(self, one: _Progress, *, force: bool, metadata_made: bool) -> None:
        storage, index = one.host.storage, one.host.index
        skipped = self._why_skipped(one, metadata_made=metadata_made)
        if skipped:
            one.devices.append(device_result(NO_ADDRESS, info=_SKIPPED.format(index) + skipped))
            return
        if one.error is not None or not storage.bdevs:
            return
        try:
            if await asyncio.to_thread(superblock.read, storage.superblock_path) is None:
                results = await self._ops.format_bdevs(storage, force=force)
                one.devices += [device_result(r.device, r.error, r.roles) for r in results]
                one.error = next((r.error for r in results if r.error is not None), None)
            if one.error is None:
                await self._ops.write_nvme_config(storage)
                one.formatted = True
        except (Fault, ControlError, OSError) as error:
            one.error = error
            one.devices.append(device_result(NO_ADDRESS, error))
        if one.error is not None:
            log.error("engine %d: its block devices were not formatted: %s", index, one.error)

    def _why_skipped(self, one: _Progress, *, metadata_made: bool) -> str:
        # Files and kernel devices need no huge pages.
        if self._settings.disable_hugepages and not has_emulated_bdevs(one.host.storage):
            return "use of hugepages disabled in config"
        if one.error is not None:
            return "SCM format failed"
        if one.skip_bdevs and not metadata_made:
            return "SCM was not formatted"
        return ""

    def _finish(
        self, progress: Sequence[_Progress], *, metadata_made: bool, replace: bool
    ) -> storage_pb2.StorageFormatResp:
        for one in progress:
            made = one.formatted or metadata_made
            # An engine that runs and was left alone has nothing to be told.
            if one.error is None and (made or not one.host.is_started):
                one.host.notify_storage_ready(replace and one.needed)
        return storage_pb2.StorageFormatResp(
            mrets=[one.mount for one in progress if one.mount is not None],
            crets=[device for one in progress for device in one.devices],
        )
