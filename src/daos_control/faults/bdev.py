"""Faults of block devices and of daos_nvme.conf (codes 300-306, 310, 311, 804).

What is wrong with their configuration (307-309, 312-319) is in `serverconfig`.
"""

from collections.abc import Iterable

from daos_control.faults.code import Code
from daos_control.faults.core import Fault

_CONFIG = "in the server's configuration file, and restart daos_server"


def unknown_class(name: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_FORMAT_UNKNOWN_CLASS,
        f"block devices of class {name!r} cannot be formatted",
        f"Use class nvme, file or kdev {_CONFIG}.",
    )


def format_failed(device: str, reason: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_FORMAT_FAILURE,
        f"formatting {device} failed: {reason}",
        "Remove the cause and run the format again.",
    )


def holds_foreign_data(device: str, found: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_FORMAT_FAILURE,
        f"{device} holds something that DAOS did not put there: {found}",
        "Nothing was changed. Check that the configuration names the right device; if its content may be "
        "destroyed, repeat the command with --force.",
    )


def bad_pci_address(address: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_BAD_PCI_ADDRESS,
        f"{address!r} is not a PCI address",
        "Write it as DDDD:BB:DD.F, for example 0000:81:00.0.",
    )


def not_found(devices: Iterable[str], *, vmd: bool = False) -> Fault:
    what = "devices behind VMD" if vmd else "NVMe SSDs"
    return Fault(
        "storage",
        Code.BDEV_NOT_FOUND,
        f"{what} not found: {', '.join(devices)}",
        f"Check that they exist on this host, or correct bdev_list {_CONFIG}.",
    )


def duplicate_devices(devices: Iterable[str]) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_DUPLICATES_IN_DEVICE_LIST,
        f"the list of NVMe devices names some twice: {', '.join(devices)}",
        "Name each device once.",
    )


def no_filter_match() -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_NO_DEVICES_MATCH_FILTER,
        "no NVMe device matches the filter",
        "Check the model and firmware revision asked for.",
    )


def non_root_vfio_disabled() -> Fault:
    return Fault(
        "storage",
        Code.BDEV_NON_ROOT_VFIO_DISABLE,
        "only root can use NVMe devices without VFIO",
        "Run the command as root, or do not disable VFIO.",
    )


def no_iommu() -> Fault:
    return Fault(
        "storage",
        Code.BDEV_NO_IOMMU,
        "NVMe devices need an IOMMU unless root uses them, and this host has none enabled",
        "Enable the IOMMU in the firmware and on the kernel's command line, or run as root.",
    )


def nvme_config_invalid(path: str, reason: str) -> Fault:
    return Fault(
        "storage",
        Code.SPDK_INVALID_CONFIGURATION,
        f"{path} cannot be understood: {reason}",
        "Restart daos_server: it writes the file anew from its configuration.",
    )


def nvme_config_missing(path: str) -> Fault:
    """The superblock is there and the file is not: an administrator must look, since something removed it."""
    return Fault(
        "storage",
        Code.BDEV_UNKNOWN,
        f"{path} is missing, although the engine's storage is formatted and has block devices",
        "The data are still there: do not format. Check that the right file system is mounted, and restore the "
        "file; if block devices were added to the configuration after the format, undo that.",
    )
