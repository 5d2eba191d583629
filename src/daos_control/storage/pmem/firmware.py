"""Firmware of persistent memory modules: which modules are meant, and asking or updating each."""

from collections.abc import Sequence
from pathlib import Path

from daos_control.faults import Fault
from daos_control.faults import pbin as pbin_faults
from daos_control.faults import storage as faults
from daos_control.storage.pmem import library, provider
from daos_control.storage.pmem.library import LibraryError
from daos_control.storage.pmem.messages import (
    FirmwareInfo,
    ModuleFirmware,
    ModuleUpdate,
    ScmFirmwareQuery,
    ScmFirmwareQueryReply,
    ScmFirmwareUpdate,
    ScmFirmwareUpdateReply,
)
from daos_control.storage.pmem.model import Module


def select(
    modules: Sequence[Module], *, uids: Sequence[str] = (), model: str = "", revision: str = ""
) -> tuple[Module, ...]:
    """The modules that a request means, in the order of their UIDs where such are given.

    UIDs that no module has are passed over; a model and a revision match whatever their case. Raises Fault 209 for
    a UID given twice.
    """
    twice = sorted({uid for uid in uids if uids.count(uid) > 1})
    if twice:
        raise faults.scm_duplicate_devices(", ".join(twice))
    by_uid = {module.uid: module for module in modules}
    chosen = [by_uid[uid] for uid in sorted(uids) if uid in by_uid] if uids else list(modules)
    return tuple(
        module
        for module in chosen
        if _matches(model, module.part_number) and _matches(revision, module.firmware_revision)
    )


def check_update(modules: Sequence[Module], request: ScmFirmwareUpdate) -> tuple[Module, ...]:
    """The modules to update. Raises Fault 211 without modules, 209 for duplicates, 210 where none matches or a UID
    is of none, 5 for a file that cannot be read."""
    if not request.firmware_path:
        raise pbin_faults.helper_request_failed("no firmware file is named", "Name the firmware file.")
    if not modules:
        raise faults.scm_no_pmem()
    chosen = select(modules, uids=request.device_uids, model=request.model_id, revision=request.firmware_rev)
    known = {module.uid for module in modules}
    if not chosen or any(uid not in known for uid in request.device_uids):
        raise faults.scm_no_filter_match()
    try:
        with Path(request.firmware_path).open("rb"):
            pass
    except OSError as error:
        raise pbin_faults.helper_request_failed(
            f"the firmware file {request.firmware_path} cannot be read: {error.strerror}",
            "Put the file on each storage host, at the path given.",
        ) from error
    return chosen


def query(request: ScmFirmwareQuery) -> ScmFirmwareQueryReply:
    """As root. The firmware of each module that matches, or why it cannot be told; none is no error."""
    modules = provider.modules(None)
    chosen = select(modules, uids=request.device_uids, model=request.model_id, revision=request.firmware_rev)
    return ScmFirmwareQueryReply(tuple(_query(module) for module in chosen))


def update(request: ScmFirmwareUpdate) -> ScmFirmwareUpdateReply:
    """As root. Update each module that matches; one that fails does not keep the others from it."""
    chosen = check_update(provider.modules(None), request)
    return ScmFirmwareUpdateReply(tuple(_update(module, request.firmware_path) for module in chosen))


def _query(module: Module) -> ModuleFirmware:
    try:
        return ModuleFirmware(module, FirmwareInfo(*_library().firmware(module.uid)))
    except (LibraryError, Fault) as error:
        return ModuleFirmware(module, None, _words(error))


def _update(module: Module, path: str) -> ModuleUpdate:
    try:
        _library().update_firmware(module.uid, path)
    except (LibraryError, Fault) as error:
        return ModuleUpdate(module, _words(error))
    return ModuleUpdate(module)


def _library() -> library.Library:
    found = library.find()
    if found is None:
        raise pbin_faults.missing_software(
            "libipmctl", "the firmware of persistent memory", "the package libipmctl5"
        )
    return found


def _words(error: Exception) -> str:
    return error.description if isinstance(error, Fault) else str(error)


def _matches(wanted: str, found: str) -> bool:
    return not wanted or wanted.lower() == found.lower()
