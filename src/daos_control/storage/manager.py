"""What the server does to the storage of its engines: `storage.api.EngineStorageOps` over the privileged helper."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from daos_control.faults import Code, Fault
from daos_control.faults import bdev as bdev_faults
from daos_control.faults import storage as faults
from daos_control.storage import memory, mounts, nvme_config
from daos_control.storage.api import BdevResult, BdevTier, Class, EngineStorage, Role, ScmState, ScmUsage
from daos_control.storage.helper import protocol, scm
from daos_control.storage.helper.protocol import BdevFormatReply, ScmFormatReply, WireFault
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.nvme.operations import Nvme, with_backing

log = logging.getLogger(__name__)

_ROLE_NAMES = {"data": Role.DATA, "meta": Role.META, "wal": Role.WAL}


class StorageManager:
    """Storage of all engines of this host.

    What needs root goes through `helper`; the rest is done here, in threads. `hostname` is the name that devices
    get in daos_nvme.conf (this host's own, unless given); `allow_no_dax` allows class dcpm without DAX. One
    operation at a time is done to one engine's storage.
    """

    def __init__(
        self,
        helper: HelperClient,
        *,
        hostname: str | None = None,
        allow_no_dax: bool = False,
        read_memory: Callable[[], memory.MemorySnapshot] = memory.snapshot,
    ) -> None:
        self._helper = helper
        self._read_memory = read_memory
        self._nvme = Nvme(helper)
        self._hostname = hostname or socket.gethostname()
        self._allow_no_dax = allow_no_dax
        self._locks: dict[int, asyncio.Lock] = {}
        self._metadata_lock = asyncio.Lock()

    async def check_helper(self) -> None:
        """Fault 3, 4 or 5 where the helper cannot be used; for the start of the server."""
        await self._helper.check()

    # SCM

    async def scm_state(self, storage: EngineStorage) -> ScmState:
        request = self._scm_request(protocol.ScmCheckFormat, storage, force=False)
        if storage.scm.storage_class is Class.RAM:  # nothing that takes root: no process for it
            reply = await asyncio.to_thread(scm.check_format, request)
        else:
            reply = await self._helper.call(request)
            assert isinstance(reply, ScmFormatReply)
        state = ScmState(reply.state)
        if state is ScmState.FOREIGN:
            log.warning("SCM of engine %d: found %s", storage.index, reply.found)
        return state

    async def mount_scm(self, storage: EngineStorage) -> None:
        tier = storage.scm
        async with self._lock(storage):
            await self._helper.call(
                protocol.ScmMount(
                    class_=tier.storage_class.value,
                    target=os.fspath(tier.mount),
                    device=os.fspath(tier.device or ""),
                    ramdisk=_ramdisk(storage),
                    allow_no_dax=self._allow_no_dax,
                )
            )
        log.info("mounted SCM of engine %d at %s", storage.index, tier.mount)

    async def format_scm(self, storage: EngineStorage, *, force: bool) -> None:
        async with self._lock(storage):
            await self._helper.call(self._scm_request(protocol.ScmFormat, storage, force=force))
        log.info("formatted SCM of engine %d at %s", storage.index, storage.scm.mount)

    async def unmount_scm(self, storage: EngineStorage) -> None:
        async with self._lock(storage):
            await self._helper.call(protocol.ScmUnmount(target=os.fspath(storage.scm.mount)))

    def scm_usage(self, storage: EngineStorage) -> ScmUsage | None:
        mount = mounts.at(storage.scm.mount)
        if mount is None or mounts.hidden(mount):
            return None
        figures = os.statvfs(storage.scm.mount)
        return ScmUsage(figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize)

    def check_memory(self, storage: EngineStorage) -> None:
        tier = storage.scm
        if tier.storage_class is not Class.RAM:
            return
        configured = tier.size_gib * memory.GIB
        usage = self.scm_usage(storage)
        if usage is not None and storage.metadata_path is None:
            memory.check_existing(tier.mount, usage.total, configured)
            return
        reclaimed = 0 if usage is None else usage.total - usage.available
        memory.check_available(configured, self._read_memory(), reclaimed_bytes=reclaimed)

    # Control metadata

    async def metadata_needs_format(self, storage: EngineStorage) -> bool:
        if storage.metadata_path is None:
            return False
        async with self._metadata_lock:
            request = _metadata_request(protocol.MetadataNeedsFormat, (storage,), force=False)
            return bool(await self._helper.call(request))

    async def format_metadata(self, engines: Sequence[EngineStorage], *, force: bool = False) -> None:
        if not engines or engines[0].metadata_path is None:
            return
        async with self._metadata_lock:
            await self._helper.call(_metadata_request(protocol.MetadataFormat, engines, force=force))
        log.info("formatted the control metadata area %s", engines[0].metadata_path)

    # Block devices

    async def format_bdevs(self, storage: EngineStorage, *, force: bool) -> Sequence[BdevResult]:
        results: list[BdevResult] = []
        async with self._lock(storage):
            for tier in storage.bdevs:
                results += await self._format_tier(tier, force=force, vmd=storage.nvme.vmd)
        return results

    async def write_nvme_config(self, storage: EngineStorage) -> None:
        if not nvme_config.needed(storage):
            return
        path = storage.nvme_config_path
        content = nvme_config.encode(await self._behind_vmd(storage), self._hostname)
        try:
            await asyncio.to_thread(nvme_config.write, path, content)
        except OSError as error:
            raise faults.path_access_denied(str(path), error.strerror or str(error)) from error
        log.info("wrote %s", path)

    async def clean_up(self, storage: EngineStorage) -> None:
        devices = [d for tier in storage.bdevs if tier.storage_class is Class.NVME for d in tier.devices]
        if devices:
            await self._nvme.clean(allowed=" ".join(devices))

    async def _behind_vmd(self, storage: EngineStorage) -> EngineStorage:
        """With the devices behind each VMD in its place, as far as SPDK can tell now."""
        tiers = [tier for tier in storage.bdevs if tier.storage_class is Class.NVME]
        if not storage.nvme.vmd or not tiers:
            return storage
        devices = [device for tier in tiers for device in tier.devices]
        try:
            found = await self._nvme.scan(devices, vmd=True)
        except Fault as fault:
            log.warning("the devices behind VMDs are not known now, their own addresses are kept: %s", fault)
            return storage
        bdevs = tuple(
            replace(tier, devices=with_backing(tier.devices, found)) if tier in tiers else tier
            for tier in storage.bdevs
        )
        return replace(storage, bdevs=bdevs)

    async def check_nvme_config(self, storage: EngineStorage) -> None:
        if not nvme_config.needed(storage) or storage.allow_config_override:
            return
        path = storage.nvme_config_path
        try:
            await asyncio.to_thread(nvme_config.check, path)
        except FileNotFoundError as error:
            raise bdev_faults.nvme_config_missing(str(path)) from error
        except OSError as error:
            raise faults.path_access_denied(str(path), error.strerror or str(error)) from error
        except Fault as fault:
            if fault.code != Code.SPDK_INVALID_CONFIGURATION:
                raise
            log.warning("%s; writing it anew", fault.description)
            await self.write_nvme_config(storage)

    async def _format_tier(self, tier: BdevTier, *, force: bool, vmd: bool) -> list[BdevResult]:
        properties = protocol.BdevProperties(
            class_=tier.storage_class.value,
            device_list=tier.devices,
            device_file_size=tier.file_size_gib * memory.GIB,
            tier=tier.index,
            device_roles=role_names(tier.roles),
        )
        request = protocol.BdevFormat(
            properties=properties,
            owner_uid=os.geteuid(),
            owner_gid=os.getegid(),
            force=force,
            vmd_enabled=vmd and tier.storage_class is Class.NVME,
        )
        try:
            reply = await self._helper.call(request)
        except Fault as fault:
            return [BdevResult(f"tier {tier.index}", tier.roles, fault)]
        assert isinstance(reply, BdevFormatReply)
        return [
            _result(device, tier.roles, answer.error) for device, answer in sorted(reply.device_responses.items())
        ]

    def _scm_request(
        self, kind: type[protocol.ScmFormat], storage: EngineStorage, *, force: bool
    ) -> protocol.ScmFormat:
        tier = storage.scm
        dcpm = None
        if tier.storage_class is Class.DCPM:
            dcpm = protocol.Dcpm(os.fspath(tier.device or ""), self._allow_no_dax)
        return kind(
            mountpoint=os.fspath(tier.mount),
            owner_uid=os.geteuid(),
            owner_gid=os.getegid(),
            force=force,
            ramdisk=_ramdisk(storage),
            dcpm=dcpm,
        )

    def _lock(self, storage: EngineStorage) -> asyncio.Lock:
        return self._locks.setdefault(storage.index, asyncio.Lock())


def role_names(roles: Role) -> str:
    """As DAOS writes them: "data,meta,wal", or "NA"."""
    return ",".join(name for name, role in _ROLE_NAMES.items() if roles & role) or "NA"


def _ramdisk(storage: EngineStorage) -> protocol.Ramdisk | None:
    tier = storage.scm
    if tier.storage_class is not Class.RAM:
        return None
    return protocol.Ramdisk(tier.size_gib, tier.numa_node, not tier.huge_pages)


def _metadata_request(
    kind: type[protocol.MetadataFormat], engines: Sequence[EngineStorage], *, force: bool
) -> protocol.MetadataFormat:
    root = engines[0].metadata_path or Path()
    return kind(
        root_path=os.fspath(root),
        data_path=os.fspath(root / "daos_control"),
        owner_uid=os.geteuid(),
        owner_gid=os.getegid(),
        device=os.fspath(engines[0].metadata_device or ""),
        engine_idxs=tuple(engine.index for engine in engines),
        force=force,
    )


def _result(device: str, roles: Role, error: WireFault | None) -> BdevResult:
    return BdevResult(device, roles, None if error is None else error.to_fault())
