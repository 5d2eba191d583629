"""Mount points: what is at them, making them, and mounting SCM there."""

import errno
import os
import stat
import sys
from pathlib import Path

from daos_control.faults import storage as faults
from daos_control.storage import mounts
from daos_control.storage.decisions import Kind, Target
from daos_control.storage.helper.protocol import Ramdisk

_MODE = 0o775


def inspect(path: Path) -> Target:
    """What is at a mount point; changes nothing. Fault 104 where another file system hides its mount."""
    mount = mounts.at(path)
    if mount and mounts.hidden(mount):
        raise faults.mount_hidden(str(path), _in_front_of(path))
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Target(path, Kind.MISSING)
    except PermissionError as error:
        raise faults.path_access_denied(str(path), "permission denied") from error
    if stat.S_ISLNK(mode):
        return Target(path, Kind.LINK)
    if not stat.S_ISDIR(mode):
        return Target(path, Kind.OTHER)
    return Target(path, Kind.DIRECTORY, mount, mount is not None and not content(path))


def _in_front_of(path: Path) -> str:
    above = mounts.resolve(path).parent
    while (found := mounts.at(above)) is None and above != above.parent:
        above = above.parent
    return f"{found} at {above}" if found else f"something at {above}"


def make(path: Path, uid: int, gid: int) -> None:
    """Create the directories of a mount point that are missing, each owned by the server; others stay as is."""
    if not path.is_absolute():
        raise faults.scm_missing_mountpoint()
    for directory in [*reversed(path.parents), path]:
        try:
            directory.mkdir(_MODE)
        except FileExistsError:
            continue
        except OSError as error:
            raise faults.path_access_denied(str(directory), error.strerror or str(error)) from error
        os.chown(directory, uid, gid)


def clear(path: Path) -> None:
    """Unmount what is at a mount point. Unlike the reference, the directory's own content is never removed: what
    lies below a mount is hidden, not lost."""
    try:
        while mounts.unmount(path):
            pass
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise faults.mount_busy(str(path)) from error
        raise faults.mount_failed("(unmount)", str(path), error.strerror or str(error)) from error


def hand_over(path: Path, uid: int, gid: int) -> None:
    """Give the root directory of a mounted file system to the server."""
    path.chmod(_MODE)
    os.chown(path, uid, gid)


def mount_ramdisk(path: Path, ramdisk: Ramdisk) -> None:
    """Mount a tmpfs. Where the kernel knows no memory policy (no NUMA, some containers), it is made without."""
    if ramdisk.size <= 0:
        raise faults.scm_invalid_size(str(path))
    options = [f"size={ramdisk.size}g"]
    if not ramdisk.disable_hugepages:
        options.append("huge=always")
    policy = [] if ramdisk.numa_node is None else [f"mpol=prefer:{ramdisk.numa_node}"]
    try:
        try:
            mounts.mount("tmpfs", path, "tmpfs", mounts.MS_NOATIME, ",".join(policy + options))
        except OSError as error:
            if error.errno != errno.EINVAL or not policy:
                raise
            sys.stderr.write(f"{path}: no memory of NUMA node {ramdisk.numa_node} can be preferred here\n")
            mounts.mount("tmpfs", path, "tmpfs", mounts.MS_NOATIME, ",".join(options))
    except OSError as error:
        raise faults.mount_failed("a tmpfs", str(path), error.strerror or str(error)) from error
    path.chmod(_MODE)


def mount_device(path: Path, device: Path, *, dax: bool) -> None:
    """Mount the ext4 of a device, and see to it that DAX is in effect where it was asked for."""
    options = "dax,nodelalloc" if dax else "nodelalloc"
    try:
        mounts.mount(os.fspath(device), path, "ext4", mounts.MS_NOATIME, options)
    except OSError as error:
        raise faults.mount_failed(os.fspath(device), str(path), error.strerror or str(error)) from error
    mount = mounts.at(path)
    if dax and (mount is None or not mount.super_options & {"dax", "dax=always"}):
        mounts.unmount(path)
        raise faults.scm_no_dax(os.fspath(device))
    path.chmod(_MODE)


def content(path: Path) -> list[str]:
    """The names in the root directory of a file system, without what mkfs makes."""
    return [entry.name for entry in path.iterdir() if entry.name != "lost+found"]
