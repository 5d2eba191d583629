"""The ways to a helper process: started by us, as root or through sudo, or by systemd for a connection of ours.

Each way carries one request and brings one answer. A helper that cannot be reached is Fault 4 here; what an answer
is worth is decided by `helper_client`.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daos_control.faults import pbin as faults
from daos_control.storage.helper.protocol import MESSAGE_BYTES_MAX

_STDERR_BYTES_MAX = 64 * 1024
_GRACE_S = 2.0
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True)
class Answer:
    """What a helper wrote to us (at most one byte more than a message may have) and for people, and, where it did
    not end in order, in words how it ended."""

    output: bytes
    complaint: str = ""
    ending: str = ""


class Transport(Protocol):
    """One way to a helper."""

    async def exchange(self, request: bytes) -> Answer:
        """Have one request served. Raises Fault 4 where no helper can be had. Cancelling ends the helper, as far as
        this process may."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessTransport:
    """A child process, directly or through sudo; the last part of `command` is the helper."""

    command: Sequence[str]

    async def exchange(self, request: bytes) -> Answer:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise faults.helper_not_available(self.command[-1], error.strerror or str(error)) from error
        try:
            output, complaint = await _converse(process, request)
            code = await process.wait()
        finally:
            if process.returncode is None:
                await _kill(process)
        ending = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}" if code else ""
        return Answer(output, complaint.decode(errors="replace").strip(), ending)


@dataclass(frozen=True, slots=True)
class SocketTransport:
    """A Unix socket behind which a service manager starts one helper for each connection.

    What the helper writes for people goes to the service manager's log, not to us.
    """

    path: Path

    async def exchange(self, request: bytes) -> Answer:
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
        except OSError as error:
            raise faults.helper_socket_unusable(str(self.path), error.strerror or str(error)) from error
        try:
            self._check_listener(writer)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its answer tells more
                writer.write(request)
                await writer.drain()
                writer.write_eof()
            output = await _read(reader, MESSAGE_BYTES_MAX)
            return Answer(output, "", "" if output else "ended without an answer")
        finally:
            writer.close()

    def _check_listener(self, writer: asyncio.StreamWriter) -> None:
        """Whoever else could make this socket would be handed what only root may be asked."""
        connection = writer.get_extra_info("socket")
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid = _CREDENTIALS.unpack(data)[1]
        if uid != 0:
            raise faults.helper_socket_unusable(str(self.path), f"user {uid} listens there, and not root")


async def _converse(process: asyncio.subprocess.Process, data: bytes) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its exit tells more than our write
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()
    output, complaint = await asyncio.gather(
        _read(process.stdout, MESSAGE_BYTES_MAX), _read(process.stderr, _STDERR_BYTES_MAX)
    )
    return output, complaint


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """All that comes until the end, of which one byte more than the limit is kept."""
    kept = b""
    with contextlib.suppress(ConnectionResetError):  # an end like another
        while chunk := await stream.read(65536):
            kept = (kept + chunk)[: limit + 1]
    return kept


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the helper and what it runs. Through sudo we may not: then it ends by its own alarm."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
