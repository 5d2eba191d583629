"""Whether an engine's storage is ready to be used, and what it is missing."""

import asyncio
import logging
from enum import Enum

from daos_control.server import superblock
from daos_control.server.superblock import Superblock
from daos_control.storage.api import EngineStorage, EngineStorageOps, ScmState

log = logging.getLogger(__name__)


class Missing(Enum):
    """What has to be formatted; the values are the words of DAOS's event."""

    SCM = "SCM"
    METADATA = "Metadata"


async def examine(ops: EngineStorageOps, storage: EngineStorage) -> Superblock | Missing:
    """Bring up what is formatted, and return who the engine is; or what is missing.

    Mounts what can be mounted. With control metadata of its own, the RAM disk is always made anew: all that lasts
    is in the metadata. Changes nothing on a device that is not ours. Raises a Fault where the state cannot be told
    or the superblock is damaged: then nothing may be formatted unasked.
    """
    found = await _at_hand(ops, storage)
    if found is None:
        missing = await _bring_up(ops, storage)
        if missing is not None:
            return missing
        found = await asyncio.to_thread(superblock.read, storage.superblock_path)
    if found is None:
        return Missing.METADATA
    if storage.bdevs:
        await ops.check_nvme_config(storage)
    return found


async def _at_hand(ops: EngineStorageOps, storage: EngineStorage) -> Superblock | None:
    """The superblock of storage that is mounted still: the usual case after a restart, and the quickest to tell."""
    if storage.metadata_path is not None or ops.scm_usage(storage) is None:
        return None
    ops.check_memory(storage)
    return await asyncio.to_thread(superblock.read, storage.superblock_path)


async def _bring_up(ops: EngineStorageOps, storage: EngineStorage) -> Missing | None:
    if storage.metadata_path is not None:
        if await ops.metadata_needs_format(storage):
            log.warning(
                "engine %d: there is no control metadata at %s. If this host was formatted before, mount the file "
                "system that holds it there and start the engine again: only new storage is to be formatted",
                storage.index,
                storage.metadata_path,
            )
            return Missing.SCM
        ops.check_memory(storage)
        await ops.format_scm(storage, force=True)
        return None
    state = await ops.scm_state(storage)
    match state:
        case ScmState.MOUNTED:
            return None
        case ScmState.MOUNTABLE:
            await ops.mount_scm(storage)
            return None
        case ScmState.FOREIGN:
            log.warning("engine %d: %s holds something that is not ours", storage.index, storage.scm.mount)
        case ScmState.INCOMPLETE:
            log.warning("engine %d: a format was begun and not finished; format again", storage.index)
        case ScmState.UNFORMATTED:
            pass
    return Missing.SCM


async def adopt(
    ops: EngineStorageOps, storage: EngineStorage, *, system: str, fault_domain: str
) -> Superblock | None:
    """After a format: the superblock, made now where there is none. None where nothing is mounted to keep it on."""
    if storage.metadata_path is None and ops.scm_usage(storage) is None:
        return None
    return await asyncio.to_thread(_read_or_create, storage, system, fault_domain)


def _read_or_create(storage: EngineStorage, system: str, fault_domain: str) -> Superblock:
    found = superblock.read(storage.superblock_path)
    if found is None:
        found = Superblock.new(system, fault_domain)
        superblock.write(storage.superblock_path, found)
    return found
