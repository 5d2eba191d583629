"""Faults of block devices and of daos_nvme.conf and of SPDK (codes 300-306, 310, 311, 801-804).

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
        "Remove the cause, then run 'dmg storage format' again.",
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
        "Check the model and the firmware revision asked for: 'daos_server nvme scan' shows those of this host.",
    )


def non_root_vfio_disabled() -> Fault:
    return Fault(
        "storage",
        Code.BDEV_NON_ROOT_VFIO_DISABLE,
        "only root can use NVMe devices without VFIO",
        f"Run the command as root, or allow VFIO: without --disable-vfio, or with disable_vfio: false {_CONFIG}.",
    )


def no_iommu() -> Fault:
    return Fault(
        "storage",
        Code.BDEV_NO_IOMMU,
        "NVMe devices need an IOMMU unless root uses them, and this host has none enabled",
        "Enable the IOMMU in the firmware and on the kernel's command line (intel_iommu=on or amd_iommu=on) and "
        "reboot, or run as root.",
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


def driver_missing(driver: str, reason: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_UNKNOWN,
        f"the kernel's driver {driver}, by which programs use NVMe devices, cannot be loaded: {reason}",
        f"Install the kernel's modules (as root, 'modprobe {driver}' must work), then run the command again.",
    )


def rebind_failed(device: str, driver: str, reason: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_UNKNOWN,
        f"{device} could not be bound to the driver {driver or 'none'}: {reason}",
        "It was given back to the driver it had where that was possible. See the kernel's log ('dmesg').",
    )


def cannot_give(path: str, user: str, reason: str) -> Fault:
    return Fault(
        "bdev",
        Code.BDEV_UNKNOWN,
        f"{path} cannot be given to {user}: {reason}",
        "See the kernel's log ('dmesg') for what it says of the device, then run the command again.",
    )


def huge_pages_unavailable(node: int, wanted: int, found: int | None, reason: str = "") -> Fault:
    """`found` is None where the kernel did not tell."""
    if found is None:
        what = f"huge pages cannot be set up on NUMA node {node}: {reason}"
    else:
        what = f"NUMA node {node} has room for {found} huge pages, and {wanted} are needed"
    return Fault(
        "bdev",
        Code.BDEV_UNKNOWN,
        what,
        "Free memory on that node ('echo 3 > /proc/sys/vm/drop_caches' helps against fragmentation), ask for fewer "
        "(nr_hugepages in the server's configuration file, or -p of 'daos_server nvme prepare'), or reserve them "
        "at boot with hugepages=N on the kernel's command line.",
    )


# SPDK, 801-803


def no_health(device: str, reason: str) -> Fault:
    return Fault(
        "spdk",
        Code.SPDK_CTRLR_NO_HEALTH,
        f"the NVMe controller {device} gives no health data: {reason}",
        "The device may be failing: see the kernel's log, and its maker's tools.",
    )


def spdk_no_answer(method: str, reason: str) -> Fault:
    """SPDK's program gave nothing that can be used: no answer in time, garbage, or its end."""
    return Fault(
        "spdk",
        Code.SPDK_BINDING_RET_NULL,
        f"SPDK's program did not answer {method}: {reason}",
        "See the server's log for what it wrote. Check that no other program uses the NVMe devices, then run the "
        "command again.",
    )


def spdk_failed(method: str, code: int, reason: str) -> Fault:
    """SPDK answered with an error."""
    return Fault(
        "spdk",
        Code.SPDK_BINDING_FAILED,
        f"SPDK refused {method}: {reason} (code {code})",
        "See the server's log for what SPDK's program wrote, and the kernel's log ('dmesg') for the device, "
        "then run the command again.",
    )
