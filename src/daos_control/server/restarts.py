"""Restarting an engine that ended itself because the system had excluded its rank.

Only that: an engine that crashed stays down until somebody starts it. The rate is bounded per rank, and a manual
stop or start wins over what is planned.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from daos_control.server.instance import Instance

log = logging.getLogger(__name__)

MIN_SECONDS_DEFAULT = 300.0


class RestartPolicy:
    """When a rank may be restarted: at once, then not again within `min_seconds` of the last restart.

    Pure: the caller says what time it is (seconds of any steady clock). Invariant: between two restarts of a rank
    that `plan` allowed there are at least `min_seconds`, unless it was forgotten between them.
    """

    def __init__(self, min_seconds: float) -> None:
        self._min_seconds: Final = min_seconds
        self._last: dict[int, float] = {}

    def plan(self, rank: int, now: float) -> float:
        """Take the next free moment for a restart of `rank`; the seconds until then."""
        earliest = self._last.get(rank, now - self._min_seconds) + self._min_seconds
        moment = max(now, earliest)
        self._last[rank] = moment
        return moment - now

    def forget(self, ranks: Iterable[int]) -> None:
        for rank in ranks:
            self._last.pop(rank, None)


class Restarter:
    """Carries the policy out. At most one restart of a rank is planned at a time; further requests are dropped.

    `run` owns the planned restarts and cancels them when it is cancelled.
    """

    def __init__(self, *, enabled: bool, min_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._enabled: Final = enabled
        self._clock: Final = clock
        self._policy: Final = RestartPolicy(min_seconds)
        self._planned: dict[int, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    def self_terminated(self, rank: int, instance: Instance) -> None:
        """The engine announced that it ends itself."""
        if not self._enabled:
            log.info("engine %d (rank %d) ended itself; automatic restart is disabled", instance.index, rank)
            return
        if rank in self._planned or self._tasks is None:
            log.debug("rank %d: a restart is planned already", rank)
            return
        task = self._tasks.create_task(self._restart(rank, instance), name=f"restart rank {rank}")
        self._planned[rank] = task
        task.add_done_callback(lambda done: self._done(rank, done))

    def forget(self, ranks: Iterable[int]) -> None:
        """A person stops or starts these ranks: cancel what is planned for them, and start counting anew."""
        for rank in ranks:
            task = self._planned.pop(rank, None)
            if task is not None:
                task.cancel()
            self._policy.forget([rank])

    def _done(self, rank: int, task: asyncio.Task[None]) -> None:
        if self._planned.get(rank) is task:
            del self._planned[rank]

    async def _restart(self, rank: int, instance: Instance) -> None:
        life = instance.lives
        await instance.wait_end()
        delay = self._policy.plan(rank, self._clock())
        if delay > 0:
            log.info("rank %d was restarted not long ago: it is restarted in %.0f s", rank, delay)
            await asyncio.sleep(delay)
        if instance.lives != life:
            return  # somebody else was faster
        log.info("restarting engine %d (rank %d), which ended itself", instance.index, rank)
        instance.request_start()
