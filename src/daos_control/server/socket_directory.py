"""The directory of the sockets between server and engines: one server at a time, and nothing stale in it."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final, Self

from daos_control.server import problems

SERVER_SOCKET = "daos_server.sock"
_LOCK_FILE = ".daos_server.lock"


class SocketDirectory:
    """Holds the directory for this process, by a lock that the kernel drops when the process ends.

    The lock is on `.daos_server.lock`, which has the holder's pid in it for people to read; the file stays.
    Closing removes the sockets and lets go of the lock.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path: Final = path
        self._lock = lock

    @classmethod
    def take(cls, path: Path) -> Self:
        """Raises a Fault where the directory is missing or cannot be used, Fault 6 where another server has it."""
        if not path.is_dir():
            if path.exists():
                raise problems.socket_directory_unusable(path, "it is no directory")
            raise problems.socket_directory_missing(path)
        try:
            lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise problems.socket_directory_unusable(path, error.strerror or str(error)) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode(errors="replace").strip()
            os.close(lock)
            raise problems.socket_directory_in_use(path, int(holder) if holder.isdecimal() else None) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return cls(path, lock)

    @property
    def server_socket(self) -> Path:
        return self.path / SERVER_SOCKET

    def remove_engine_sockets(self) -> None:
        """Those of engines that are gone: with the lock held, no living engine is anybody's."""
        for socket in self.path.glob("daos_engine*.sock"):
            with contextlib.suppress(OSError):
                socket.unlink()

    def close(self) -> None:
        """Safe to call twice."""
        if self._lock < 0:
            return
        self.remove_engine_sockets()
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        os.close(self._lock)
        self._lock = -1
