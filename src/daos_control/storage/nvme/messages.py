"""The helper's methods for NVMe: requests, replies and time limits (storage.md 2). An import registers them."""

from dataclasses import dataclass

from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import Method, Request
from daos_control.storage.nvme.controller import NvmeController


@dataclass(frozen=True, slots=True, kw_only=True)
class BdevPrepare(Request):
    """Bind devices to a driver for programs and allocate huge pages, or, with `reset_`, give the devices back.

    Lists are of addresses with blanks between them; an empty allow list means all devices. `huge_nodes` as
    "nodes_hp[0]=128" gives the pages per NUMA node, and `hugepage_count` those of node 0 where it is empty. A
    request with one of `clean_*` cleans only: files of huge pages of dead programs, and lock files of the devices
    listed, or, with `clean_spdk_lockfiles_any`, of all. `pages_only` leaves all devices alone.
    """

    hugepage_count: int = 0
    huge_nodes: str = ""
    clean_spdk_hugepages: bool = False
    clean_spdk_lockfiles: bool = False
    clean_spdk_lockfiles_any: bool = False
    pci_allow_list: str = ""
    pci_block_list: str = ""
    target_user: str = ""
    reset_: bool = False
    disable_vfio: bool = False
    enable_vmd: bool = False
    pages_only: bool = False


@dataclass(frozen=True, slots=True)
class BdevPrepareReply:
    """`vmd_prepared` says that VMDs were among the devices."""

    nr_hugepages_removed: int = 0
    lockfiles_removed: tuple[str, ...] = ()
    vmd_prepared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BdevScan(Request):
    """No devices: all that SPDK can drive. With devices, each must be found."""

    device_list: tuple[str, ...] = ()
    vmd_enabled: bool = False


@dataclass(frozen=True, slots=True)
class BdevScanReply:
    controllers: tuple[NvmeController, ...]
    vmd_enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmeFirmwareQuery(Request):
    """Devices by address (all, where there are none), of which those of a model and revision, where given."""

    device_addrs: tuple[str, ...] = ()
    model_id: str = ""
    firmware_rev: str = ""


@dataclass(frozen=True, slots=True)
class FirmwareQueryResult:
    device: NvmeController


@dataclass(frozen=True, slots=True)
class NvmeFirmwareQueryReply:
    results: tuple[FirmwareQueryResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmeFirmwareUpdate(Request):
    """As NvmeFirmwareQuery; at least one device must match."""

    firmware_path: str
    device_addrs: tuple[str, ...] = ()
    model_id: str = ""
    firmware_rev: str = ""


@dataclass(frozen=True, slots=True)
class FirmwareUpdateResult:
    """`error` is "" where it went well."""

    device: NvmeController
    error: str = ""


@dataclass(frozen=True, slots=True)
class NvmeFirmwareUpdateReply:
    results: tuple[FirmwareUpdateResult, ...]


METHODS = {
    "BdevPrepare": Method(BdevPrepare, BdevPrepareReply, 300),
    "BdevScan": Method(BdevScan, BdevScanReply, 300),
    "NvmeFirmwareQuery": Method(NvmeFirmwareQuery, NvmeFirmwareQueryReply, 300),
    "NvmeFirmwareUpdate": Method(NvmeFirmwareUpdate, NvmeFirmwareUpdateReply, 1800),
}
protocol.METHODS.update(METHODS)
