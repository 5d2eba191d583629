"""Requests and replies of the helper about persistent memory (storage.md 2). Importing this makes them known."""

from dataclasses import dataclass

from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import Method, Request
from daos_control.storage.pmem.model import Module, Namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmScan(Request):
    """Of one socket, or of all. `pmem_in_config` says that the server is meant to use persistent memory: what keeps
    it from being examined then is an error, and otherwise counts as none."""

    socket_id: int | None = None
    pmem_in_config: bool = False


@dataclass(frozen=True, slots=True)
class ScmScanReply:
    modules: tuple[Module, ...] = ()
    namespaces: tuple[Namespace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmPrepare(Request):
    """With `reset`, namespaces are removed; `force` removes what is mounted or not DAOS's as well."""

    reset: bool = False
    nr_namespaces_per_socket: int = 1
    socket_id: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class PmemSocket:
    """`state` is a `model.State` by number."""

    socket_id: int | None
    state: int


@dataclass(frozen=True, slots=True)
class ScmPrepareReply:
    socket: PmemSocket
    reboot_required: bool = False
    namespaces: tuple[Namespace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmFirmwareQuery(Request):
    """Of the modules with these UIDs, or all; empty filters match all."""

    device_uids: tuple[str, ...] = ()
    model_id: str = ""
    firmware_rev: str = ""


@dataclass(frozen=True, slots=True)
class FirmwareInfo:
    """`update_status`: 0 unknown, 1 staged, 2 success, 3 failed."""

    active_version: str
    staged_version: str
    image_max_size_bytes: int
    update_status: int


@dataclass(frozen=True, slots=True)
class ModuleFirmware:
    """Of one module; `error` is why there is no `info`."""

    module: Module
    info: FirmwareInfo | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScmFirmwareQueryReply:
    results: tuple[ModuleFirmware, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmFirmwareUpdate(ScmFirmwareQuery):
    """Give the modules that match the firmware of a file of this host."""

    firmware_path: str


@dataclass(frozen=True, slots=True)
class ModuleUpdate:
    """Outcome for one module; an empty `error` is success."""

    module: Module
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScmFirmwareUpdateReply:
    results: tuple[ModuleUpdate, ...]


METHODS = {
    "ScmScan": Method(ScmScan, ScmScanReply, 120),
    # ipmctl and the kernel take minutes for some terabytes.
    "ScmPrepare": Method(ScmPrepare, ScmPrepareReply, 3600),
    "ScmFirmwareQuery": Method(ScmFirmwareQuery, ScmFirmwareQueryReply, 300),
    "ScmFirmwareUpdate": Method(ScmFirmwareUpdate, ScmFirmwareUpdateReply, 3600),
}
protocol.METHODS.update(METHODS)
