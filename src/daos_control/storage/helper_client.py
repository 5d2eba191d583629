"""The server's side of the privileged helper: start it, ask, wait no longer than the method's limit."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daos_control.faults import pbin as faults
from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import HELPER_NAME, METHODS, PingReply, ProtocolError, Request
from daos_control.version import PRODUCT_VERSION

log = logging.getLogger(__name__)

_GRACE_S = 2.0  # beyond the limit that the helper keeps by itself
_STDERR_BYTES_MAX = 64 * 1024


class HelperClient:
    """Runs one process for each request; requests may run concurrently, each on its own storage.

    `binary` is an explicit helper program. Without one, root runs this installation's own module, and another user
    the installed program, through `sudo -n`. `limit_s` replaces the methods' own time limits.
    """

    def __init__(self, binary: Path | None = None, *, limit_s: float | None = None) -> None:
        self._binary = binary
        self._limit_s = limit_s

    @property
    def command(self) -> Sequence[str]:
        """What is run. Raises Fault 4 where there is nothing to run."""
        privileged = os.geteuid() == 0
        if privileged and self._binary is None:
            return (sys.executable, "-I", "-m", "daos_control.cli.helper")
        program = os.fspath(self._binary) if self._binary else _installed()
        if privileged:
            return (program,)
        sudo = shutil.which("sudo")
        if sudo is None:
            raise faults.helper_not_available(program, "this user is not root, and sudo is not installed")
        return (sudo, "-n", "--", program)

    async def check(self) -> None:
        """See to it that the helper can be run and is of our release; Fault 3, 4 or 5 otherwise."""
        reply: PingReply = await self.call(Request())
        if reply.app_name != HELPER_NAME or reply.version != PRODUCT_VERSION:
            raise faults.helper_wrong_version(HELPER_NAME, reply.version, PRODUCT_VERSION)

    async def call(self, request: Request) -> Any:
        """The reply to a request, of the type that `protocol.METHODS` says.

        Raises the Fault that the helper answers; Fault 4 where it cannot be run; Fault 5 where it crashes, writes
        what is no reply, or takes longer than its limit. Cancelling kills it.
        """
        method = protocol.method_of(request)
        limit = self._limit_s if self._limit_s is not None else METHODS[method].limit_s + _GRACE_S
        process = await self._start()
        try:
            async with asyncio.timeout(limit):
                output, complaint = await _converse(process, protocol.encode_request(request))
                code = await process.wait()
        except TimeoutError as error:
            raise faults.helper_request_failed(
                f"the privileged helper did not finish {method} within {limit:g} s",
                "The device may hang: see the kernel's log ('dmesg'). Then run the command again.",
            ) from error
        finally:
            if process.returncode is None:
                await _kill(process)
        return _outcome(method, code, output, complaint)

    async def _start(self) -> asyncio.subprocess.Process:
        command = self.command
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise faults.helper_not_available(command[-1], error.strerror or str(error)) from error


def _installed() -> str:
    """The helper of this installation: on the path, or beside the program that runs."""
    beside = Path(sys.argv[0]).resolve().parent / HELPER_NAME
    found = shutil.which(HELPER_NAME) or (os.fspath(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise faults.helper_not_available(HELPER_NAME, "it is not on the path")
    return found


async def _converse(process: asyncio.subprocess.Process, data: bytes) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its exit tells more than our write
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()
    output, complaint = await asyncio.gather(
        _read(process.stdout, protocol.MESSAGE_BYTES_MAX), _read(process.stderr, _STDERR_BYTES_MAX)
    )
    return output, complaint


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """All that comes until the end, of which one byte more than the limit is kept."""
    kept = b""
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


def _outcome(method: str, code: int, output: bytes, complaint: bytes) -> Any:
    text = complaint.decode(errors="replace").strip()
    if text:
        log.warning("%s: %s: %s", HELPER_NAME, method, text)
    if not output and code != 0:
        if "sudo" in text:
            raise faults.helper_not_available(HELPER_NAME, text.splitlines()[-1])
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        raise faults.helper_request_failed(f"the privileged helper {how} during {method}")
    try:
        return protocol.decode_reply(method, output)
    except ProtocolError as error:
        raise faults.helper_request_failed(
            f"the privileged helper's reply to {method} is no reply: {error}"
        ) from error
