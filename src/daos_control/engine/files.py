"""Changes to files that survive a kill or a power cut: whole, or not at all."""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

FILE_MODE = 0o660
DIRECTORY_MODE = 0o770

_CRASH_VARIABLE = "DAOS_EMBEDDED_CRASH_AT"


def crash_point(name: str) -> None:
    """Where tests have the engine killed, to see what a kill at this very place leaves behind."""
    if os.environ.get(_CRASH_VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory and its name durable; one that is there stays as it is."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=DIRECTORY_MODE)
        sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a file's contents at once and durably; a reader sees the old or the new, never a part."""
    staged = path.with_name(path.name + ".staging")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(value, indent=1, sort_keys=True).encode())
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            staged.unlink()
        raise
    sync_directory(path.parent)


def read_json(path: Path) -> Any:
    """Raises FileNotFoundError, OSError, or ValueError where the contents are damaged."""
    return json.loads(path.read_bytes())


def allocate_file(path: Path, size: int, head: bytes) -> None:
    """Make a file of `size` bytes that starts with `head`, its space taken for good. Raises OSError (ENOSPC)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.pwrite(descriptor, head, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove what is at `path`, directory or file; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move_durably(source: Path, destination: Path) -> None:
    """Rename, and make both directories' names durable."""
    source.rename(destination)
    sync_directory(destination.parent)
    if source.parent != destination.parent:
        sync_directory(source.parent)


def is_memory_file_system(path: Path) -> bool:
    """Whether files at `path` live in memory (tmpfs), where space on paper may be more than the machine has."""
    status = path.stat()
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == device:
            return rest.split()[0] in ("tmpfs", "ramfs")
    return False


def available_memory_bytes() -> int:
    """What the kernel says can be had without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 62
