"""The single writer: every change to the system passes through one queue and is committed in groups."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from daos_control.faults import ControlError, Fault, SystemUnavailableError
from daos_control.faults.core import RAFT_UNAVAILABLE
from daos_control.ms.edges import Clock
from daos_control.ms.faults import database_not_written
from daos_control.store.interface import FencedError, Store
from daos_control.system.changes import Change
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision

log = logging.getLogger(__name__)

T = TypeVar("T")
Decide = Callable[[SystemDatabase, datetime], Decision[T]]
Subscriber = Callable[[SystemDatabase, Sequence[Change]], None]


@dataclass(slots=True)
class _Waiting:
    """One caller: what it wants decided, and where its answer goes."""

    decide: Decide[Any]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class _Decided:
    """A caller whose decision was taken, against state that may not be durable yet."""

    answer: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer:
    """Decides, commits and applies changes, one batch after the other.

    Everything that waits is decided in order, each against the outcome of those before it, on a copy of the
    database; then there is ONE commit; then the copy takes the place of the original; then every caller gets its
    answer. So nothing is acknowledged before it is durable, a reader of `db` never sees what might be lost, and
    two thousand callers at once cost a handful of commits.

    A decision that raises fails its own caller only. When a commit fails, every caller of the batch fails and
    nothing changes; whether the store kept it is then unknown, so that the database is loaded again before
    the next batch. A writer that was fenced off (another one committed) never commits again.

    A caller may be cancelled at any time: before its turn it is skipped, after it the change stands.
    """

    def __init__(self, store: Store, clock: Clock, db: SystemDatabase, *, limit: int = 16384, batch: int = 1024):
        self._store = store
        self._clock = clock
        self._db = db
        self._limit = limit
        self._batch = batch
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._subscribers: list[Subscriber] = []
        self._closing = False
        self._fenced = False
        self._in_doubt = False
        self.commits = 0

    @property
    def db(self) -> SystemDatabase:
        """The committed state, for readers; never to be changed by them. Fetch it anew after each wait."""
        return self._db

    @property
    def is_fenced(self) -> bool:
        return self._fenced

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(db, changes)` after every commit, on the event loop; it must not block."""
        self._subscribers.append(subscriber)

    async def submit(self, decide: Decide[T]) -> T:
        """Have `decide` taken in turn and return its result once its changes are durable.

        Raises what `decide` raises, SystemUnavailableError when the writer is full, closed or fenced off, and
        what the store raises when the commit fails.
        """
        if self._closing or self._fenced or len(self._waiting) >= self._limit:
            raise SystemUnavailableError(RAFT_UNAVAILABLE)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(decide, answer))
        self._wake.set()
        return await answer

    async def run(self) -> None:
        """Serve until `close`; whoever starts it owns it."""
        try:
            while True:
                if not self._waiting:
                    if self._closing:
                        return
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await self._serve([self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch))])
        finally:
            self._closing = True
            self._refuse(self._waiting)
            self._waiting.clear()

    def close(self) -> None:
        """Take no more; `run` serves who waits already, and returns."""
        self._closing = True
        self._wake.set()

    async def _serve(self, batch: list[_Waiting]) -> None:
        try:
            await self._settle()
            if self._fenced:
                self._refuse(batch)
                return
            await self._decide_and_commit(batch)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way, and each caller must hear of it
            typed = error if isinstance(error, Fault | ControlError) else database_not_written(str(error))
            log.error("%s (%d requests refused)", typed, len(batch))
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(typed)
        finally:
            # Only a cancelled run leaves anybody without an answer here.
            self._refuse(batch)

    async def _settle(self) -> None:
        """After a commit of unknown outcome: take what the store really has."""
        if self._in_doubt:
            self._db = await self._store.load()
            self._in_doubt = False
            self._tell(())

    async def _decide_and_commit(self, batch: list[_Waiting]) -> None:
        base = self._db
        result, changes, decided = self._decide(base, batch)
        if changes:
            self._in_doubt = True
            try:
                await self._store.commit(changes, base=base, result=result)
            except FencedError:
                self._fenced = True
                log.critical("another management service has committed: this one steps back")
                raise SystemUnavailableError(RAFT_UNAVAILABLE) from None
            self._in_doubt = False
            self.commits += 1
            self._db = result
        for one in decided:
            _settle_answer(one)
        if changes:
            self._tell(changes)

    def _decide(
        self, base: SystemDatabase, batch: list[_Waiting]
    ) -> tuple[SystemDatabase, list[Change], list[_Decided]]:
        result = base.copy()
        changes: list[Change] = []
        decided: list[_Decided] = []
        now = self._clock.now()
        for waiting in batch:
            if waiting.answer.done():  # cancelled before its turn
                continue
            try:
                decision = waiting.decide(result, now)
            except Exception as error:  # noqa: BLE001 - it is its caller's, whatever it is
                decided.append(_Decided(waiting.answer, error=error))
                continue
            try:
                result.apply(decision.changes)
            except Exception as error:
                log.exception("a decision would break the system database")
                decided.append(_Decided(waiting.answer, error=error))
                result = base.copy()
                result.apply(changes)
                continue
            changes.extend(decision.changes)
            decided.append(_Decided(waiting.answer, result=decision.result))
        return result, changes, decided

    def _tell(self, changes: Sequence[Change]) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(self._db, changes)
            except Exception:
                log.exception("a subscriber of the system database failed")

    def _refuse(self, batch: Sequence[_Waiting] | deque[_Waiting]) -> None:
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(SystemUnavailableError(RAFT_UNAVAILABLE))


def _settle_answer(one: _Decided) -> None:
    if one.answer.done():
        return
    if one.error is not None:
        one.answer.set_exception(one.error)
    else:
        one.answer.set_result(one.result)
