"""The SCM part of a storage scan."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from daos_control.faults import ControlError, Fault
from daos_control.proto.ctl import common_pb2, storage_scm_pb2
from daos_control.server.storage_host import FormatHost
from daos_control.server.storage_results import response_state
from daos_control.server.storage_settings import StorageSettings
from daos_control.storage import namespaces
from daos_control.storage.api import Class, EngineStorage, EngineStorageOps
from daos_control.storage.memory import GIB
from daos_control.storage.namespaces import Namespace
from daos_control.storage.pmem.model import Module
from daos_control.storage.pmem.operations import PmemScanner
from daos_control.system.member import NIL_RANK

log = logging.getLogger(__name__)

# Kept back on SCM: for the control plane's own files where they live there, and for the file system itself.
CONTROL_BYTES = 16 << 20
FILESYSTEM_BYTES = 1 << 20


class ScmScanner:
    """Looks at persistent memory and at the engines' mounts. Modules, which take root, are `pmem`'s to tell."""

    def __init__(
        self,
        hosts: Sequence[FormatHost],
        ops: EngineStorageOps,
        settings: StorageSettings,
        pmem: PmemScanner | None = None,
    ) -> None:
        self._hosts: Final = hosts
        self._ops: Final = ops
        self._settings: Final = settings
        self._pmem: Final = pmem

    async def scan(self, request: storage_scm_pb2.ScanScmReq) -> storage_scm_pb2.ScanScmResp:
        """Namespaces, else modules; with `usage` the namespaces of the engines, each with its mount.

        Where modules cannot be listed, that is in the state. Raises ControlError.
        """
        reply = await asyncio.to_thread(self._scan_namespaces, request)
        if reply.namespaces or request.usage or self._pmem is None:
            return reply
        in_config = any(host.storage.scm.storage_class is Class.DCPM for host in self._hosts)
        try:
            found = await self._pmem.scan(in_config=in_config)
        except Fault as fault:
            if in_config:
                reply.state.CopyFrom(response_state(fault, common_pb2.CTL_ERR_SCM))
            log.warning("modules of persistent memory are not listed: %s", fault)
            return reply
        reply.modules.extend(module_message(module) for module in found.modules)
        return reply

    def _scan_namespaces(self, request: storage_scm_pb2.ScanScmReq) -> storage_scm_pb2.ScanScmResp:
        found = namespaces.scan(h.storage.scm.device for h in self._hosts if h.storage.scm.device is not None)
        if request.usage:
            messages = [self._used(host, found) for host in self._hosts]
            if not messages:
                raise ControlError("no scm details found")
        else:
            messages = [_message(namespace) for namespace in found]
        return storage_scm_pb2.ScanScmResp(namespaces=messages, state=common_pb2.ResponseState())

    def _used(self, host: FormatHost, found: Sequence[Namespace]) -> storage_scm_pb2.ScmNamespace:
        scm = host.storage.scm
        ram = scm.storage_class is Class.RAM
        if ram:  # stands in for a device
            message = storage_scm_pb2.ScmNamespace(blockdev="ramdisk", size=scm.size_gib * GIB)
        else:
            message = _message(_of_device(host, found))
        mount = message.mount
        mount.path = str(scm.mount)
        setattr(mount, "class", scm.storage_class.value)
        if not ram:
            mount.device_list.append(str(scm.device))
        usage = self._ops.scm_usage(host.storage)
        if not host.is_ready or host.rank is None or usage is None:
            # Nothing can be used of an engine that does not serve.
            mount.rank = NIL_RANK
            message.size = 0
            return message
        mount.rank = host.rank
        mount.total_bytes, mount.avail_bytes = usage.total, usage.available
        mount.usable_bytes = self._usable(host.storage, usage.available)
        return message

    def _usable(self, storage: EngineStorage, available: int) -> int:
        """What is left for pools of the available bytes."""
        try:
            reserved = self._settings.rdb_bytes(storage.index) + FILESYSTEM_BYTES
        except ControlError as error:
            log.warning("engine %d: no SCM counts as usable: %s", storage.index, error)
            return 0
        path = storage.metadata_path
        if storage.has_meta_role and path is None:
            return 0
        if not storage.has_meta_role or (path is not None and path.is_relative_to(storage.scm.mount)):
            reserved += CONTROL_BYTES
        return max(available - reserved, 0)


def module_message(module: Module) -> storage_scm_pb2.ScmModule:
    """A module as a message."""
    return storage_scm_pb2.ScmModule(
        channelid=module.channel_id,
        channelposition=module.channel_position,
        controllerid=module.controller_id,
        socketid=module.socket_id,
        physicalid=module.physical_id,
        capacity=module.capacity,
        uid=module.uid,
        partNumber=module.part_number,
        firmwareRevision=module.firmware_revision,
        healthState=module.health_state,
    )


def _of_device(host: FormatHost, found: Sequence[Namespace]) -> Namespace:
    device = host.storage.scm.device
    assert device is not None
    name = device.resolve().name
    namespace = next((n for n in found if n.block_device == name), None)
    if namespace is None:
        raise ControlError(f"instance {host.index}: no pmem namespace for mount {host.storage.scm.mount}")
    return namespace


def _message(namespace: Namespace) -> storage_scm_pb2.ScmNamespace:
    return storage_scm_pb2.ScmNamespace(
        uuid=namespace.uuid,
        blockdev=namespace.block_device,
        dev=namespace.device,
        numa_node=namespace.numa_node,
        size=namespace.size_bytes,
    )
