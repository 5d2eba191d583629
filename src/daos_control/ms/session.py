"""What lives while the system database is open: the writer, and the tasks that work for the service."""

import asyncio
import logging
from collections.abc import Coroutine
from enum import Enum
from typing import Any, TypeVar

from daos_control.faults import SystemUnavailableError, SystemUninitializedError
from daos_control.faults.core import RAFT_UNAVAILABLE, STEP_UP_IN_PROGRESS
from daos_control.ms.writer import Decide, Writer
from daos_control.system.database import SystemDatabase

log = logging.getLogger(__name__)

T = TypeVar("T")


class State(Enum):
    """Of the management service of one server; `Session.move` holds the order."""

    CLOSED = "closed"  # there is no database: nothing is formatted, or it was erased
    OPENING = "opening"  # the database is read, and what it demands is being done
    OPEN = "open"
    CLOSING = "closing"


_FOLLOWING = {
    State.CLOSED: {State.OPENING},
    State.OPENING: {State.OPEN, State.CLOSING},
    State.OPEN: {State.CLOSING},
    State.CLOSING: {State.CLOSED},
}


class Session:
    """Shared by all handlers of one service: the open database, and a home for the tasks they start."""

    def __init__(self) -> None:
        self.state = State.CLOSED
        self._writer: Writer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._started: set[asyncio.Task[None]] = set()

    def move(self, state: State) -> None:
        """Raises ValueError for a step that is not in the table."""
        if state not in _FOLLOWING[self.state]:
            raise ValueError(f"the management service cannot become {state.value} when it is {self.state.value}")
        self.state = state

    def attach(self, writer: Writer, tasks: asyncio.TaskGroup) -> None:
        self._writer, self._tasks = writer, tasks

    def detach(self) -> None:
        self._writer = self._tasks = None

    @property
    def writer(self) -> Writer:
        """Raises SystemUninitializedError before there is a system, SystemUnavailableError while it is not served.

        While the service closes it is still there, for those who have begun.
        """
        if self.state is State.CLOSED:
            raise SystemUninitializedError
        if self.state is State.OPENING:
            raise SystemUnavailableError(STEP_UP_IN_PROGRESS)
        if self._writer is None or self._writer.is_fenced:
            raise SystemUnavailableError(RAFT_UNAVAILABLE)
        return self._writer

    @property
    def is_serving(self) -> bool:
        return self.state is State.OPEN and self._writer is not None and not self._writer.is_fenced

    def check_serving(self) -> None:
        """Whether a new request may begin; raises as `writer` does, and while the service closes."""
        if not self.is_serving:
            _ = self.writer
            raise SystemUnavailableError(RAFT_UNAVAILABLE)

    @property
    def db(self) -> SystemDatabase:
        """The committed state, to be read at once: after a wait, ask again. Raises as `writer` does."""
        return self.writer.db

    async def submit(self, decide: Decide[T]) -> T:
        """`Writer.submit`; raises as `writer` does."""
        return await self.writer.submit(decide)

    def start(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[None]:
        """Run `work` beside the callers until it ends or the service closes; an error of it goes to the log."""
        return self._create(_logged(work, name), name, work)

    async def to_the_end(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Run `work` so that it goes on when the caller leaves: what is half done gets done.

        Only the close of the service cuts it short; its caller then gets SystemUnavailableError.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                result = await work
            except Exception as error:  # noqa: BLE001 - the caller's, or the log's when there is none any more
                if answer.done():
                    log.warning("%s failed after its caller had left: %s", name, error)
                else:
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        def finish(_: asyncio.Task[None]) -> None:
            if not answer.done():  # cancelled by the close of the service
                answer.set_exception(SystemUnavailableError(RAFT_UNAVAILABLE))

        self._create(run(), name, work).add_done_callback(finish)
        return await answer

    async def drain(self, timeout_s: float) -> None:
        """Wait for all that was started, and cancel what takes longer."""
        if self._started:
            await asyncio.wait(self._started, timeout=timeout_s)
        for task in list(self._started):
            task.cancel()

    def _create(
        self, run: Coroutine[Any, Any, None], name: str, work: Coroutine[Any, Any, object]
    ) -> asyncio.Task[None]:
        if self._tasks is None or self.state is State.CLOSING:
            run.close()
            work.close()
            raise SystemUnavailableError(RAFT_UNAVAILABLE)
        task = self._tasks.create_task(run, name=name)
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        # A task that is cancelled before its first step never touches what it was to run.
        task.add_done_callback(lambda _: work.close())
        return task


async def _logged(work: Coroutine[Any, Any, object], name: str) -> None:
    try:
        await work
    except Exception:
        log.exception("%s failed", name)
