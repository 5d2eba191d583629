"""One request at a time on one storage: one that is repeated while its first process still works waits for it.

A helper outlives the server that asked, if that is killed; the server that comes next must not format beside it.
The locks are the kernel's (flock), so that they end with their process: on the device itself, which also keeps udev
away from it meanwhile, and, where there is no device, on the directory that holds the mount point or the file.
"""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from daos_control.faults import pbin as faults
from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import Request

WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def held(request: Request) -> Iterator[None]:
    """Holds what the request is about. Raises Fault 5 where another process has it for longer than WAIT_SECONDS."""
    with contextlib.ExitStack() as stack:
        deadline = time.monotonic() + WAIT_SECONDS
        for path in sorted(resources(request)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # its handler says so better
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                _take(descriptor, path, protocol.method_of(request), deadline)
        yield


def resources(request: Request) -> set[Path]:
    """The devices and directories that a request changes; none for one that only looks."""
    match request:
        case protocol.ScmCheckFormat():
            return set()
        case protocol.ScmFormat():
            return {_lockable(Path(request.dcpm.device if request.dcpm else request.mountpoint))}
        case protocol.ScmMount():
            return {_lockable(Path(request.device or request.target))}
        case protocol.ScmUnmount():
            return {_lockable(Path(request.target))}
        case protocol.MetadataMount() | protocol.MetadataFormat():
            return {_lockable(Path(request.device or request.root_path))}
        case protocol.BdevFormat() if request.properties.class_ in ("file", "kdev"):
            return {_lockable(Path(device)) for device in request.properties.device_list}
    return set()


def _lockable(path: Path) -> Path:
    """A block device itself; of anything else the nearest directory above it that exists."""
    real = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        if stat.S_ISBLK(real.stat().st_mode):
            return real
    return next((parent for parent in real.parents if parent.is_dir()), real)


def _take(descriptor: int, path: Path, method: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise faults.helper_busy(method, str(path)) from None
            time.sleep(_POLL_SECONDS)
