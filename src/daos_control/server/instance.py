"""One engine from the server's side: a control loop around its storage, its process and its place in the system."""

import asyncio
import contextlib
import logging
import signal as signals
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from google.protobuf.message import Message

from daos_control import drpc
from daos_control.drpc import FramingError, Method
from daos_control.faults import ControlError, DaosError, Fault
from daos_control.faults.server import data_plane_not_started, rank_admin_excluded
from daos_control.ms.edges import EngineNotReadyError
from daos_control.proto.mgmt import svc_pb2
from daos_control.proto.srv import srv_pb2
from daos_control.server import storage_check
from daos_control.server.engine_command import EngineCommand
from daos_control.server.engine_process import EngineProcess, Exit
from daos_control.server.identity import Identity
from daos_control.server.instance_state import Event, State, next_state
from daos_control.server.joining import Joiner, JoinReply, JoinRequest, Verdict
from daos_control.server.races import race
from daos_control.server.storage_check import Missing
from daos_control.server.superblock import Superblock
from daos_control.storage.api import EngineStorage, EngineStorageOps

log = logging.getLogger(__name__)

SET_RANK_SECONDS = 60.0
SET_UP_SECONDS = 600.0  # an engine with many pools takes its time
STOP_SECONDS = 10.0  # what an engine has to stop in order before it is killed
# A call that fails because its engine died is noticed a little before the death itself.
_OBITUARY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """What one engine is. `bootstrap` is engine 0 of the first listed replica: it is given rank 0."""

    system: str
    storage: EngineStorage
    fault_domain: str
    bootstrap: bool = False


class Observer(Protocol):
    """Who is told what happens to an engine. None of it may block or raise."""

    def engine_died(self, instance: "Instance", pid: int, reason: str) -> None: ...

    def format_required(self, instance: "Instance", missing: Missing) -> None: ...

    def engine_ready(self, instance: "Instance") -> None: ...


@dataclass(frozen=True, slots=True)
class Stop:
    """How to stop: a signal, and the seconds after which it becomes SIGKILL."""

    first: signals.Signals = signals.SIGTERM
    kill_after: float = STOP_SECONDS


KILL: Final = Stop(signals.SIGKILL, 0.0)


class _StopAskedError(Exception):
    """A stop was asked for while the engine had no process yet."""


class _RestartAsCheckerError(Exception):
    """The system is in checker mode and the engine was started without."""


class Instance:
    """Engine number `index` of this server.

    `run` is its one owner: it alone moves the state, starts the process and ends it. Others ask (`request_start`,
    `stop`, `notify_storage_ready`), report (`notify_ready`) and wait (`wait_until`). One pass from a start request
    to STOPPED is a life; it has at most one process, tells of at most one death, and ends in STOPPED from wherever
    it was. A stop that is asked for wins over everything else, and is no death.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ops: EngineStorageOps,
        command: Callable[[bool], EngineCommand],
        joiner: Joiner,
        observer: Observer,
        storage_ready: Callable[["Instance"], Awaitable[None]],
    ) -> None:
        """`command(checker)` is what to run; `storage_ready` is awaited before, and may refuse by raising."""
        self.index: Final = settings.storage.index
        self.storage = settings.storage
        self.last_error: Exception | None = None
        self.checker = False
        self.lives = 0
        self._settings: Final = settings
        self._ops: Final = ops
        self._command: Final = command
        self._joiner: Final = joiner
        self._observer: Final = observer
        self._storage_ready: Final = storage_ready
        self._state = State.STOPPED
        self._waiters: set[asyncio.Future[None]] = set()
        self._identity: Final = Identity(settings.storage.superblock_path)
        self._start_asked = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._stop = Stop()
        self._closing = False
        self._formatted = asyncio.Event()
        self._replace = False
        self._process: EngineProcess | None = None
        self._report: asyncio.Future[srv_pb2.NotifyReadyReq] | None = None
        self._socket: Path | None = None

    # What it is

    @property
    def state(self) -> State:
        return self._state

    @property
    def is_started(self) -> bool:
        """Whether it has a process."""
        return self._process is not None and self._process.running

    @property
    def is_ready(self) -> bool:
        return self._state is State.READY and self.is_started

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def rank(self) -> int | None:
        """The rank that the system gave it; None before it first joined, and where its storage was not read yet."""
        return self._identity.rank

    @property
    def incarnation(self) -> int:
        """Of the last process that reported ready; 0 where there was none."""
        found = self._identity.superblock
        return 0 if found is None else found.incarnation

    @property
    def start_pending(self) -> bool:
        """Whether a start was asked for that has not begun."""
        return self._start_asked.is_set()

    async def wait_until(self, condition: Callable[["Instance"], bool]) -> None:
        """Looks at every change of state; returns once `condition` holds, at once where it does already."""
        while not condition(self):
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(changed)
            try:
                await changed
            finally:
                self._waiters.discard(changed)

    async def wait_end(self) -> None:
        """Returns once the life under way is over, though another may have begun; at once where it is stopped."""
        life = self.lives
        await self.wait_until(lambda instance: instance.state is State.STOPPED or instance.lives > life)

    # What others ask of it

    def request_start(self) -> None:
        """Start it, or start it again once the stop under way is done. Nothing to do while it starts or runs."""
        if self._closing:
            return
        if self._state in (State.STOPPED, State.STOPPING) or self._stop_asked.is_set():
            self._start_asked.set()

    async def stop(self, how: Stop) -> None:
        """Returns when its life is over. Forgets a start that was asked for and has not begun."""
        self._start_asked.clear()
        if self._state is State.STOPPED:
            return
        self._stop = how
        self._stop_asked.set()
        if self._state is State.STOPPING and self._process is not None:
            # A stop is under way, maybe a slower one.
            await self._process.stop(how.first, kill_after=how.kill_after)
        await self.wait_end()

    async def close(self, how: Stop) -> None:
        """Stop it for good; `run` returns."""
        self._closing = True
        await self.stop(how)
        self._start_asked.set()

    def change_storage(self, storage: EngineStorage) -> None:
        """It was given another device; what runs already learns of it by daos_nvme.conf."""
        self.storage = storage

    def notify_storage_ready(self, replace: bool = False) -> None:
        """Its storage was formatted. `replace`: it is to take the place of a lost engine of this address."""
        self._replace = replace
        self._formatted.set()
        if self._state is State.STOPPED:
            self.request_start()

    def notify_ready(self, report: srv_pb2.NotifyReadyReq) -> None:
        """Its process is up and answers dRPC. Raises ControlError where no such report is due."""
        expected = self._report
        if expected is None:
            raise ControlError(f"engine {self.index} has no process that could report ready")
        if not expected.done():
            expected.set_result(report)
        elif expected.cancelled() or expected.result() != report:
            raise ControlError(f"engine {self.index} has reported ready already")

    async def forget(self) -> None:
        """Remove the superblock, so that the engine awaits a format at its next start. Only while it is stopped."""
        await self._identity.forget()

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        """One dRPC to it. Raises Fault 611 where it does not run, EngineNotReadyError where it is not set up, and
        what `drpc.call` raises."""
        if not self.is_started:
            raise data_plane_not_started()
        if self._state is not State.READY or self._socket is None:
            raise EngineNotReadyError(f"engine {self.index}")
        try:
            return await drpc.call(self._socket, method, request, timeout=timeout)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise data_plane_not_started() from error

    # Its life

    async def run(self) -> None:
        """Serve start requests until `close`. When cancelled, it kills the process before it returns."""
        while True:
            await self._start_asked.wait()
            if self._closing:
                return
            if not self._start_asked.is_set():
                continue  # a stop came between
            self._start_asked.clear()
            self._stop_asked.clear()
            await self._live()

    async def _live(self) -> None:
        self.lives += 1
        self.last_error = None
        self._advance(Event.START_REQUESTED)
        try:
            if await race(self._prepare_storage(), self._stop_asked) is not None:
                raise _StopAskedError
            process = await self._spawn()
        except _StopAskedError:
            self._advance(Event.STOP_REQUESTED)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, this engine is stopped and the server goes on
            self._end(Event.FAILED, 0, error)
            return
        reason: Exception | None
        try:
            reason = await self._accompany(process)
        finally:
            if process.running:  # cancelled
                process.signal(signals.SIGKILL)
                await process.wait()
            self._remove_socket()
        await self._release_storage()
        self._end(Event.PROCESS_EXITED, process.pid, reason)

    def _end(self, event: Event, pid: int, reason: Exception | None) -> None:
        self._process = None
        self._report = None
        self._formatted.clear()
        if isinstance(reason, _RestartAsCheckerError):
            self._start_asked.set()
            reason = None
        self.last_error = reason
        self._advance(event)
        if reason is None or self._closing:
            return
        log.error("engine %d%s: %s", self.index, f" (pid {pid})" if pid else "", reason)
        self._observer.engine_died(self, pid, str(reason))

    # Storage

    async def _prepare_storage(self) -> None:
        log.info("checking the storage of engine %d", self.index)
        found = await storage_check.examine(self._ops, self.storage)
        if isinstance(found, Missing):
            self._identity.superblock = None
            self._advance(Event.FORMAT_NEEDED)
            log.info("%s format required on engine %d", found.value, self.index)
            self._observer.format_required(self, found)
            found = await self._await_format()
        self._identity.superblock = found
        self._advance(Event.STORAGE_READY)
        self._log_usage()
        await self._ops.clean_up(self.storage)
        await self._storage_ready(self)

    async def _await_format(self) -> Superblock:
        while True:
            await self._formatted.wait()
            self._formatted.clear()
            found = await storage_check.adopt(
                self._ops, self.storage, system=self._settings.system, fault_domain=self._settings.fault_domain
            )
            if found is not None:
                log.info("storage of engine %d is ready", self.index)
                return found
            log.error("engine %d: %s is still not formatted and mounted", self.index, self.storage.scm.mount)

    def _log_usage(self) -> None:
        usage = self._ops.scm_usage(self.storage)
        if usage is not None:
            log.info("SCM @ %s: %d bytes total, %d available", self.storage.scm.mount, usage.total, usage.available)

    async def _release_storage(self) -> None:
        """Pool metadata on SSD: the RAM disk is a copy that the next start makes anew, so give the memory back."""
        try:
            await self._ops.clean_up(self.storage)
            if not self.storage.has_meta_role:
                return
            await self._ops.unmount_scm(self.storage)
        except Exception as error:  # noqa: BLE001 - nothing is lost by it, and the next start tries again
            log.error("engine %d: its storage was not released: %s", self.index, error)

    # Process

    async def _spawn(self) -> EngineProcess:
        if self._stop_asked.is_set():
            raise _StopAskedError
        command = self._command(self.checker)
        log.info("starting engine %d: %s", self.index, command.program)
        log.debug("engine %d arguments: %s", self.index, " ".join(command.arguments))
        self._report = asyncio.get_running_loop().create_future()
        self._process = await EngineProcess.start(self.index, command)
        self._advance(Event.PROCESS_STARTED)
        return self._process

    async def _accompany(self, process: EngineProcess) -> Exception | None:
        """Bring it up, stay with it to its end; why it ended, None where it was asked to."""
        try:
            rival = await race(self._bring_up(), self._stop_asked, process.exited)
            if rival is None:
                rival = await race(asyncio.Event().wait(), self._stop_asked, process.exited)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the process must not stay
            if isinstance(error, (OSError, FramingError)):
                with contextlib.suppress(TimeoutError):
                    return _death(await asyncio.wait_for(process.wait(), _OBITUARY_SECONDS))
            self._advance(Event.FAILED)
            await process.stop(signals.SIGKILL, kill_after=STOP_SECONDS)
            return error
        if rival is process.exited:
            return _death(process.exited.result())
        self._advance(Event.STOP_REQUESTED)
        await process.stop(self._stop.first, kill_after=self._stop.kill_after)
        return None

    async def _bring_up(self) -> None:
        assert self._report is not None
        report = await self._report
        self._socket = Path(report.drpcListenerSock)
        self._advance(Event.REPORTED_READY)
        try:
            await self._identity.remember(incarnation=report.incarnation, fault_domain=self._settings.fault_domain)
        except Fault as fault:  # a full file system must not keep out an engine that has its rank
            log.error("engine %d goes on, but: %s. %s", self.index, fault.description, fault.resolution)
        reply = await self._join(report)
        self._advance(Event.JOINED)
        await self._set_up(reply)
        self._advance(Event.SET_UP)
        log.info("engine %d is ready: rank %s, pid %s", self.index, self.rank, self.pid)
        self._observer.engine_ready(self)

    async def _join(self, report: srv_pb2.NotifyReadyReq) -> JoinReply:
        known = self._identity.known
        unranked = 0 if self._settings.bootstrap else None
        reply = await self._joiner.join(
            JoinRequest(
                uuid=known.uuid,
                rank=known.rank if known.rank_is_valid else unranked,
                uri=report.uri,
                contexts=report.nctxs,
                fault_domain=self._settings.fault_domain,
                index=self.index,
                incarnation=report.incarnation,
                secondary_uris=tuple(report.secondaryUris),
                secondary_contexts=tuple(report.secondaryNctxs),
                check_mode=report.check_mode,
                replace=self._replace,
            )
        )
        if reply.verdict is Verdict.OUT:
            raise rank_admin_excluded(str(reply.rank), 1)
        if reply.verdict is Verdict.CHECK and not report.check_mode:
            log.info("engine %d: the system is in checker mode, starting it again as checker", self.index)
            self.checker = True
            raise _RestartAsCheckerError
        self._replace = False
        await self._identity.remember(rank=reply.rank, rank_is_valid=True, uri=report.uri)
        return reply

    async def _set_up(self, reply: JoinReply) -> None:
        """Once each for one process: DAOS's engine aborts when it is set up again."""
        request = svc_pb2.SetRankReq(rank=reply.rank, map_version=reply.map_version)
        await self._command_engine(Method.SET_RANK, request, SET_RANK_SECONDS)
        await self._command_engine(Method.SET_UP, None, SET_UP_SECONDS)

    async def _command_engine(self, method: Method, request: Message | None, seconds: float) -> None:
        assert self._socket is not None
        reply = await drpc.call(self._socket, method, request, timeout=seconds)
        if isinstance(reply, svc_pb2.DaosResp) and reply.status != 0:
            raise DaosError(reply.status, f"engine {self.index} refused {method.name}")

    # Helpers

    def _remove_socket(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.unlink(missing_ok=True)
            self._socket = None

    def _advance(self, event: Event) -> None:
        before, self._state = self._state, next_state(self._state, event)
        log.debug("engine %d: %s -> %s (%s)", self.index, before.name, self._state.name, event.name)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class _EngineExitError(Exception):
    """The process ended by itself."""


def _death(exit_: Exit) -> Exception:
    return _EngineExitError(str(exit_))
