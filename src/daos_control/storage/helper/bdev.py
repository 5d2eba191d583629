"""Formatting block device tiers, as root (storage.md 7).

Class file: a file of the configured size, all its space taken. It is made under another name and renamed when
whole. Class kdev: the engine writes the device itself; here it is only seen to that the device holds nothing else.
Class nvme is that of `storage.nvme`.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

from daos_control.faults import Fault
from daos_control.faults import bdev as faults
from daos_control.faults import storage as storage_faults
from daos_control.storage import devices, signatures
from daos_control.storage.helper.protocol import BdevFormat, BdevFormatReply, DeviceFormatReply, WireFault
from daos_control.storage.helper.steps import Step, run

FORMAT = "bdev_format"
BLOCK_BYTES = 4096

_FILE_MODE = 0o660


def format_tier(request: BdevFormat) -> BdevFormatReply:
    """Format each device of a tier; one that fails does not keep the others from being formatted."""
    formats = {"file": _format_file, "kdev": _format_kernel_device}
    tier = request.properties
    if tier.class_ == "nvme":
        from daos_control.storage.nvme import methods  # only where it is asked for

        return methods.format_tier(request)
    if tier.class_ not in formats:
        raise faults.unknown_class(tier.class_)
    replies = {}
    for device in tier.device_list:
        try:
            formats[tier.class_](Path(device), request)
            replies[device] = DeviceFormatReply(formatted=True)
        except Fault as fault:
            replies[device] = DeviceFormatReply(False, WireFault.of(fault))
        except OSError as error:
            failure = faults.format_failed(device, error.strerror or str(error))
            replies[device] = DeviceFormatReply(False, WireFault.of(failure))
    return BdevFormatReply(replies)


def file_bytes(size: int) -> int:
    """The size that a file of class file gets: whole blocks."""
    return size // BLOCK_BYTES * BLOCK_BYTES


def _format_file(path: Path, request: BdevFormat) -> None:
    size = file_bytes(request.properties.device_file_size)
    if not path.is_absolute():
        raise faults.format_failed(str(path), "its path is not absolute")
    if size <= 0:
        raise faults.format_failed(str(path), "bdev_size is not set")
    _check_file(path, size, force=request.force)
    run(FORMAT, file_steps(path, size, request))


def file_steps(path: Path, size: int, request: BdevFormat) -> list[Step]:
    """The old file goes first: there may not be room for two."""
    fresh = path.with_name(f".{path.name}.daos_format")
    return [
        Step("remove", lambda: _remove(path, fresh)),
        Step("allocate", lambda: _allocate(fresh, size)),
        Step("hand_over", lambda: _hand_over(fresh, request)),
        Step("rename", lambda: _rename(fresh, path)),
    ]


def _check_file(path: Path, size: int, *, force: bool) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise faults.format_failed(str(path), "it exists and is not a regular file")
    if force or status.st_size == 0:
        return
    # A file that an earlier format made has exactly the configured size, and nothing of another file system.
    if found := signatures.probe(path):
        raise faults.holds_foreign_data(str(path), ", ".join(str(signature) for signature in found))
    if status.st_size != size:
        raise faults.holds_foreign_data(str(path), f"{status.st_size} bytes, where bdev_size asks for {size}")


def _format_kernel_device(path: Path, request: BdevFormat) -> None:
    try:
        device = devices.inspect(path)
    except FileNotFoundError as error:
        raise faults.format_failed(str(path), "it does not exist") from error
    except devices.NotABlockDeviceError as error:
        raise faults.format_failed(str(path), "it is not a block device") from error
    users = [*(f"mounted at {place}" for place in device.mounted_at), *(f"used by {user}" for user in device.users)]
    if users:
        raise storage_faults.device_in_use(str(path), ", ".join(users))
    if device.read_only:
        raise faults.format_failed(str(path), "the device is read-only")
    if device.signatures and not request.force:
        raise faults.holds_foreign_data(str(path), ", ".join(str(signature) for signature in device.signatures))
    if device.signatures:
        run(FORMAT, [Step("wipe", lambda: _wipe(device.path))])


def _wipe(path: Path) -> None:
    signatures.wipe(path)


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _allocate(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    except OSError as error:
        path.unlink()
        if error.errno == errno.ENOSPC:
            raise faults.format_failed(str(path.parent), f"no room for a file of {size} bytes") from error
        raise
    finally:
        os.close(descriptor)


def _hand_over(path: Path, request: BdevFormat) -> None:
    os.chown(path, request.owner_uid, request.owner_gid)
    path.chmod(_FILE_MODE)


def _rename(fresh: Path, path: Path) -> None:
    fresh.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
