"""The record that a format is under way.

It lies beside the mount point (`/mnt/daos0` -> `/mnt/.daos_format.daos0`), is written durably before the first
step that destroys anything, and removed as the last step. So a format that was cut off, by kill -9 or by power, is
known as such: it goes on when asked again, without force.

The record is bound to what it is about, so that it never lets another device be formatted: it names the device by
its identity (not its number), the UUID that the new file system will have, and what was on the device when the
format was begun. Anything else found on it later is not ours (`decisions.py`).
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from daos_control.storage import mounts
from daos_control.storage.signatures import Signature

_VERSION = 1
_SIZE_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Journal:
    """One format under way. `device` is the identity of the device, empty for a RAM disk; `uuid` is that of the
    file system to be; `forced` says that the administrator gave up what was there; `before` is what was on it."""

    device: str = ""
    uuid: str = ""
    forced: bool = False
    before: tuple[Signature, ...] = ()


def new_uuid() -> str:
    """A random UUID for a file system, out of the kernel: importing `uuid` takes longer than a whole request."""
    return Path("/proc/sys/kernel/random/uuid").read_text(encoding="ascii").strip()


def path_for(mount_point: Path) -> Path:
    """Where the record of a format of this mount point lies."""
    resolved = mounts.resolve(mount_point)
    return resolved.parent / f".daos_format.{resolved.name}"


def read(mount_point: Path) -> Journal | None:
    """The record; None where there is none, or it cannot be understood (then the device is judged without it,
    which never calls it safer to format than it is). Raises OSError."""
    try:
        with path_for(mount_point).open(encoding="utf-8") as file:
            data = json.loads(file.read(_SIZE_MAX))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    try:
        if data.pop("version") != _VERSION:
            return None
        before = tuple(Signature(**signature) for signature in data.pop("before"))
        return Journal(before=before, **data)
    except (AttributeError, KeyError, TypeError):
        return None


def write(mount_point: Path, journal: Journal) -> None:
    """Make the record durable: on return it survives a loss of power. Raises OSError."""
    path = path_for(mount_point)
    staging = path.with_name(path.name + ".new")
    text = json.dumps({"version": _VERSION} | asdict(journal), indent=1) + "\n"
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)
    _sync_directory(path.parent)


def remove(mount_point: Path) -> None:
    """Take the record away, durably; nothing to do where there is none. Raises OSError."""
    path = path_for(mount_point)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
