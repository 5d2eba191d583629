"""Faults of SCM, of mounts, of RAM disks and of the control metadata area (codes 100-107, 200-215, 1001).

What is wrong with their configuration (216 among it) is in `serverconfig`.
"""

from daos_control.faults.code import Code
from daos_control.faults.core import Fault

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def _size(count: int) -> str:
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"


# Mounts and formats, 100-107


def already_formatted(what: str) -> Fault:
    """A format was asked for storage that is in use by DAOS, without force."""
    return Fault(
        "scm",
        Code.STORAGE_ALREADY_FORMATTED,
        f"{what} is already formatted",
        "Nothing was changed. To destroy what is on it and format again, repeat the command with --force.",
    )


def holds_foreign_data(what: str, found: str) -> Fault:
    """A format was asked for storage that holds something which is not DAOS's, without force."""
    return Fault(
        "scm",
        Code.STORAGE_ALREADY_FORMATTED,
        f"{what} holds something that DAOS did not put there: {found}",
        "Nothing was changed. Check that the configuration names the right device; if its content may be "
        "destroyed, repeat the command with --force.",
    )


def device_in_use(device: str, users: str) -> Fault:
    """The device is mounted elsewhere or used by something else; force does not help."""
    return Fault(
        "storage",
        Code.STORAGE_DEVICE_ALREADY_MOUNTED,
        f"{device} is in use: {users}",
        "Nothing was changed. Check that the configuration names the right device; if it does, unmount it or stop "
        "what uses it, and run the command again.",
    )


def target_already_mounted(target: str, found: str) -> Fault:
    """Something else is mounted at the mount point."""
    return Fault(
        "storage",
        Code.STORAGE_TARGET_ALREADY_MOUNTED,
        f"{target} is already a mount point: {found}",
        f"Run 'umount {target}' if nothing needs it, or configure another mount point, and try again.",
    )


def mount_hidden(target: str, by: str) -> Fault:
    """The data are mounted where they belong, and cannot be seen: another file system was mounted above."""
    return Fault(
        "storage",
        Code.STORAGE_TARGET_ALREADY_MOUNTED,
        f"what is mounted at {target} is hidden by a {by}, which was mounted later",
        "The data are still there: do not format. Unmount what hides them, then start the engine again.",
    )


def mount_busy(target: str) -> Fault:
    """A file system cannot be unmounted because it is in use."""
    return Fault(
        "storage",
        Code.STORAGE_TARGET_ALREADY_MOUNTED,
        f"{target} cannot be unmounted: a process uses it",
        f"Find the process with 'fuser -vm {target}', stop it, and try again.",
    )


def path_access_denied(path: str, reason: str) -> Fault:
    """A mount point or device cannot be used as it is."""
    return Fault(
        "storage",
        Code.STORAGE_PATH_ACCESS_DENIED,
        f"{path} cannot be used: {reason}",
        "Correct the path's type or permissions, or the configuration, and try again.",
    )


def device_with_fs_no_mountpoint(device: str, target: str) -> Fault:
    """The data are there, only the directory to mount them at is not. Never to be read as "format it"."""
    return Fault(
        "storage",
        Code.STORAGE_DEVICE_WITH_FS_NO_MOUNTPOINT,
        f"{device} holds a file system of DAOS, but its mount point {target} does not exist",
        f"The data are still there: do not format. Create the directory ('mkdir -p {target}'), then start the "
        "engine again.",
    )


def hugepages_disabled(operation: str) -> Fault:
    """An operation needs huge pages, which the configuration disables."""
    return Fault(
        "storage",
        Code.STORAGE_HUGEPAGES_DISABLED,
        f"{operation} needs huge pages, and the configuration sets disable_hugepages",
        "Remove disable_hugepages from the server's configuration file and restart daos_server.",
    )


# SCM, 200-216


def scm_invalid_size(mount: str) -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_INVALID_SIZE,
        f"the RAM disk at {mount} has no size",
        "Set scm_size (GiB) of the engine's first storage tier.",
    )


def scm_device_too_small(device: str, size: int, minimum: int) -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_INVALID_SIZE,
        f"{device} has {_size(size)}, but at least {_size(minimum)} are needed",
        "Nothing was changed. Configure a larger device in scm_list.",
    )


def scm_bad_block_size(device: str, found: int, most: int) -> Fault:
    return Fault(
        "scm",
        Code.SCM_INVALID_PMEM,
        f"{device} has blocks of {found} bytes, and the file system of SCM has blocks of {most}",
        f"Nothing was changed. Make the device anew with sectors of 512 or {most} bytes, or configure another.",
    )


def scm_invalid_device_count(count: int) -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_INVALID_DEVICE_COUNT,
        f"class dcpm needs exactly one device, and {count} are given",
        "List one device in scm_list.",
    )


def scm_missing_mountpoint() -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_MISSING_MOUNTPOINT,
        "the SCM has no mount point, or it is not an absolute path",
        "Set scm_mount of the engine's first storage tier to an absolute path.",
    )


def scm_missing_device(device: str) -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_MISSING_DEVICE,
        f"the SCM device {device} does not exist",
        "Check scm_list in the server's configuration file, and whether the host sees the device ('lsblk').",
    )


def scm_not_block_device(device: str) -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_MISSING_DEVICE,
        f"{device} is not a block device",
        "Name a block device such as /dev/pmem0 in scm_list.",
    )


def scm_missing_parameters() -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_MISSING_PARAM,
        "a format of SCM needs either a RAM disk or a device",
        "Set the class of the engine's first storage tier to ram or dcpm.",
    )


def scm_conflicting_parameters() -> Fault:
    return Fault(
        "scm",
        Code.SCM_FORMAT_CONFLICTING_PARAM,
        "a format of SCM cannot have both a RAM disk and a device",
        "Set the class of the engine's first storage tier to ram or dcpm.",
    )


def scm_discovery_failed(reason: str) -> Fault:
    return Fault(
        "scm",
        Code.SCM_DISCOVERY_FAILED,
        f"the persistent memory modules cannot be listed: {reason}",
        "Check that ipmctl and its library are installed and work on this host.",
    )


def scm_duplicate_devices(devices: str) -> Fault:
    return Fault(
        "scm",
        Code.SCM_DUPLICATES_IN_DEVICE_LIST,
        f"the list of SCM modules names some twice: {devices}",
        "Name each module once.",
    )


def scm_no_filter_match() -> Fault:
    return Fault(
        "scm",
        Code.SCM_NO_DEVICES_MATCH_FILTER,
        "no SCM module matches the filter",
        "Check the model and firmware revision asked for.",
    )


def scm_no_pmem() -> Fault:
    return Fault(
        "scm",
        Code.SCM_NO_PMEM,
        "this host has no persistent memory modules",
        "Install modules, or use class ram for the engine's first storage tier.",
    )


def scm_bad_region(socket: int, state: str) -> Fault:
    """`state` says what is wrong: "is not interleaved", "is not healthy", ..."""
    return Fault(
        "storage",
        Code.SCM_BAD_REGION,
        f"the persistent memory region of socket {socket} {state}",
        "Reset the persistent memory of this host, reboot, and prepare it again.",
    )


def scm_invalid_pmem(reason: str) -> Fault:
    return Fault(
        "storage",
        Code.SCM_INVALID_PMEM,
        f"the persistent memory cannot be used: {reason}",
        "Reset the persistent memory of this host, reboot, and prepare it again.",
    )


def scm_no_dax(device: str) -> Fault:
    """Class dcpm on a device that the processor cannot address directly."""
    return Fault(
        "storage",
        Code.SCM_INVALID_PMEM,
        f"{device} cannot be accessed directly (DAX), which class dcpm needs",
        "Configure a persistent memory device (/dev/pmemN in fsdax mode). For trials on other devices, set "
        "allow_no_dax under daos_control in the server's configuration file.",
    )


def ramdisk_low_memory(kind: str, ramdisk: int, need: int, have: int, *, parts: str = "") -> Fault:
    """`kind` is "Total" (by the configuration) or "Available" (now); sizes in bytes; `parts` says what the need
    consists of."""
    if kind == "Total":
        help_ = (
            "reduce system_ram_reserved, nr_hugepages or targets in the server's configuration file, or add memory"
        )
    else:
        help_ = "stop what uses memory ('ps --sort -rss' tells), reduce scm_size or nr_hugepages, or add memory"
    return Fault(
        "storage",
        Code.SCM_RAMDISK_LOW_MEM,
        f"{kind} memory (RAM) is too small for RAM disks of {_size(ramdisk)}: {_size(need)} are needed"
        f"{f' ({parts})' if parts else ''}, {_size(have)} found",
        f"{_size(max(need - have, 0))} are missing: {help_}.",
    )


def ramdisk_bad_size(mount: str, existing: int, configured: int) -> Fault:
    return Fault(
        "storage",
        Code.SCM_RAMDISK_BAD_SIZE,
        f"the RAM disk at {mount} has {_size(existing)}, more than the configured {_size(configured)}",
        f"To keep what is on it, set scm_size to {-(-existing >> 30)} (GiB) and start the engine again. Only where "
        f"nothing of it is needed, unmount {mount}: that destroys its content.",
    )


def format_failed(what: str, reason: str) -> Fault:
    """A step of a format failed: what was begun is marked, and the next format goes on from there."""
    return Fault(
        "scm",
        Code.SCM_UNKNOWN,
        f"the format of {what} failed: {reason}",
        "Remove the cause and run the format again; it goes on where it stopped.",
    )


def mount_failed(what: str, target: str, reason: str) -> Fault:
    return Fault(
        "storage",
        Code.STORAGE_UNKNOWN,
        f"mounting {what} at {target} failed: {reason}",
        "See the kernel's log ('dmesg') for details, remove the cause and try again.",
    )


# Control metadata, 1001


def metadata_bad_filesystem(path: str, found: str) -> Fault:
    return Fault(
        "controlmetadata",
        Code.CONTROL_METADATA_BAD_FILESYSTEM,
        f"control_metadata.path {path} is on {found}, which cannot be used",
        "Set control_metadata.path to a directory on a local file system that is not mounted with nosuid.",
    )
