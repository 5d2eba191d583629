"""One engine process: started, listened to, stopped, reaped."""

import asyncio
import contextlib
import logging
import os
import signal as signals
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daos_control.server.engine_command import EngineCommand
from daos_control.server.launcher import CANNOT_START

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 8192  # a longer line of output is logged in pieces
OUTPUT_DRAIN_SECONDS = 1.0  # how long output may trickle in after the exit (a child of it may hold the pipe)

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended; `status` as subprocess has it (negative: the signal that killed it)."""

    program: str
    pid: int
    status: int

    def __str__(self) -> str:
        """In the words of DAOS's events: an exit is unexpected even with status 0."""
        return f"{self.program} exited: {self.reason}"

    @property
    def reason(self) -> str:
        if self.status == 0:
            return "process exited with 0"
        if self.status < 0:
            return f"signal: {signals.strsignal(-self.status) or -self.status}".lower()
        if self.status == CANNOT_START:
            return "it could not be started"
        return f"exit status {self.status}"


class EngineProcess:
    """A running engine, or one that has ended. There is no way to have one that was never started.

    `exited` becomes an Exit when the process is gone and reaped; until then its pid is ours, so a signal can reach
    nobody else.
    """

    def __init__(self, index: int, program: str, child: "subprocess.Popen[bytes]") -> None:
        self.index: Final = index
        self.pid: Final = child.pid
        self._program: Final = program
        self._child: Final = child
        self.exited: Final[asyncio.Future[Exit]] = asyncio.get_running_loop().create_future()
        self._reaper: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, index: int, command: EngineCommand) -> "EngineProcess":
        """Raises OSError where the launcher cannot be started; a bad program shows as an early exit instead."""
        launch = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(command.program)]
        # In a session of its own, so that an interrupt typed at the server's terminal does not reach it.
        child = subprocess.Popen(  # noqa: ASYNC220 - a vfork; the loop's own way loses statuses to a race
            [*launch, *command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(command.environment),
            start_new_session=True,
        )
        process = cls(index, str(command.program), child)
        outputs = await process._connect_outputs()
        process._reaper = asyncio.create_task(process._reap(outputs), name=f"reap engine {index}")
        return process

    @property
    def running(self) -> bool:
        return not self.exited.done()

    def signal(self, number: signals.Signals) -> None:
        """Nothing to do where it is gone already."""
        if self.running and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> Exit:
        return await asyncio.shield(self.exited)

    async def drained(self) -> None:
        """Returns when all its output has been logged, soon after its end."""
        if self._reaper is not None:
            await asyncio.shield(self._reaper)

    async def stop(self, first: signals.Signals, *, kill_after: float) -> Exit:
        """Ask with `first`; SIGKILL when it is still there after `kill_after` seconds."""
        if first is not signals.SIGKILL:
            self.signal(first)
            try:
                return await asyncio.wait_for(self.wait(), kill_after)
            except TimeoutError:
                text = "engine %d (pid %d) did not stop within %.1f s: killing it"
                log.error(text, self.index, self.pid, kill_after)
        self.signal(signals.SIGKILL)
        return await self.wait()

    async def _connect_outputs(self) -> "list[_Output]":
        loop = asyncio.get_running_loop()
        prefix = f"daos_engine:{self.index} "
        outputs = []
        for pipe, level in ((self._child.stdout, logging.INFO), (self._child.stderr, logging.ERROR)):
            output = _Output(prefix, level)
            await loop.connect_read_pipe(lambda output=output: output, pipe)  # type: ignore[misc]
            outputs.append(output)
        return outputs

    async def _reap(self, outputs: "list[_Output]") -> None:
        try:
            await _wait_for_exit(self._child)
        finally:
            # Cancelled or not: whoever waits learns of the end, and no zombie stays.
            if self._child.poll() is None:
                self._child.kill()
                self._child.wait()
            if not self.exited.done():
                self.exited.set_result(Exit(self._program, self.pid, self._child.returncode))
        _, late = await asyncio.wait([output.closed for output in outputs], timeout=OUTPUT_DRAIN_SECONDS)
        if late:
            log.debug("engine %d: something it started still holds its output", self.index)
        for output in outputs:
            output.close()


async def _wait_for_exit(child: "subprocess.Popen[bytes]") -> None:
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(child.pid)
    except OSError:  # a kernel before 5.3
        await asyncio.to_thread(child.wait)
        return
    gone = asyncio.Event()
    loop.add_reader(handle, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    child.wait()


class _Output(asyncio.Protocol):
    """Turns what comes out of a pipe into log lines."""

    def __init__(self, prefix: str, level: int) -> None:
        self._prefix = prefix
        self._level = level
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            for start in range(0, max(len(line), 1), LINE_BYTES_MAX):
                self._emit(line[start : start + LINE_BYTES_MAX])
        while len(self._rest) > LINE_BYTES_MAX:
            self._emit(self._rest[:LINE_BYTES_MAX])
            self._rest = self._rest[LINE_BYTES_MAX:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._rest:
            self._emit(self._rest)
            self._rest = b""
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _emit(self, line: bytes) -> None:
        log.log(self._level, "%s%s", self._prefix, line.decode(errors="replace").rstrip("\r"))
