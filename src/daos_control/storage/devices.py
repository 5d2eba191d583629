"""What a block device is and who uses it, out of sysfs, /proc and the kernel's own claim on it."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from daos_control.storage import mounts, signatures
from daos_control.storage.mounts import Mount
from daos_control.storage.signatures import Signature

SYSFS = Path("/sys")
SWAPS = Path("/proc/swaps")
SECTOR_BYTES = 512  # the unit of sysfs sizes, whatever the device's own sector is

# Attributes that tell one device from another, also after a reboot that numbered them anew; the first found counts.
_IDENTITY_ATTRIBUTES = (
    "device/uuid",
    "wwid",
    "uuid",
    "device/wwid",
    "device/serial",
    "loop/backing_file",
    "dm/uuid",
)


@dataclass(frozen=True, slots=True)
class Device:
    """A block device. `path` is the node itself (links followed), `number` its "major:minor"; `identity` names the
    thing behind the node; `mounted_at` is where it or one of its partitions is mounted; `users` is what else holds
    it ("swap", "dm-0", ...); `block_bytes` is the least that it reads or writes."""

    path: Path
    number: str
    size_bytes: int
    read_only: bool
    dax: bool
    identity: str
    mounted_at: tuple[str, ...]
    users: tuple[str, ...]
    signatures: tuple[Signature, ...]
    block_bytes: int = SECTOR_BYTES


class NotABlockDeviceError(Exception):
    """The path exists and is something else."""


def inspect(path: Path) -> Device:
    """Look at a device without changing it. Raises FileNotFoundError, NotABlockDeviceError, Fault, OSError."""
    real = Path(os.path.realpath(path))
    status = real.stat()
    if not stat.S_ISBLK(status.st_mode):
        raise NotABlockDeviceError(os.fspath(path))
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    sysfs = Path(os.path.realpath(SYSFS / "dev" / "block" / number))
    whole = sysfs.parent if (sysfs / "partition").exists() else sysfs
    numbers = {number} | {_read(child / "dev") for child in sysfs.iterdir() if (child / "partition").exists()}
    mounted = tuple(dict.fromkeys(m.path for m in mounts.current() if m.number in numbers))
    size = int(_read(sysfs / "size") or 0) * SECTOR_BYTES
    return Device(
        path=real,
        number=number,
        size_bytes=size,
        read_only=_read(sysfs / "ro") == "1",
        dax=_read(whole / "queue" / "dax") == "1",
        identity=_identity(sysfs, whole, size),
        mounted_at=mounted,
        users=_users(real, sysfs, mounted),
        signatures=signatures.probe(real),
        block_bytes=int(_read(whole / "queue" / "logical_block_size") or SECTOR_BYTES),
    )


def mounted_device(mount: Mount, device: Device) -> bool:
    """Whether a mount is of this device."""
    return mount.number == device.number


def _identity(sysfs: Path, whole: Path, size: int) -> str:
    for attribute in _IDENTITY_ATTRIBUTES:
        if value := _read(whole / attribute):
            return f"{value} {sysfs.name if sysfs != whole else ''} {size}".replace("  ", " ")
    return f"{sysfs.name} {size}"


def _users(path: Path, sysfs: Path, mounted: tuple[str, ...]) -> tuple[str, ...]:
    found = [holder.name for holder in _children(sysfs / "holders")]
    for child in _children(sysfs):
        if (child / "partition").exists():
            found += [f"{child.name}: {holder.name}" for holder in _children(child / "holders")]
            if _is_swap(Path("/dev") / child.name):
                found.append(f"{child.name}: swap")
    if _is_swap(path):
        found.append("swap")
    if not found and not mounted and _claimed(path):
        # The kernel knows a user that we cannot name: a mount of another namespace, a raw open.
        found.append("another program or a mount outside this namespace")
    return tuple(found)


def _claimed(path: Path) -> bool:
    """Whether the kernel refuses an exclusive open: the one test that also sees other mount namespaces."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def _is_swap(path: Path) -> bool:
    lines = SWAPS.read_text(encoding="utf-8").splitlines()[1:] if SWAPS.exists() else []
    return any(os.path.realpath(line.split()[0]) == os.fspath(path) for line in lines if line)


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
