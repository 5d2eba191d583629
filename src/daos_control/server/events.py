"""RAS events of this host: into the log, and to whom they concern."""

import asyncio
import logging
import syslog
from collections.abc import Awaitable, Callable
from typing import Final

from daos_control.ms.edges import Clock
from daos_control.server.instance import Instance
from daos_control.server.storage_check import Missing
from daos_control.system import events
from daos_control.system.events import RasEvent, RasId, Severity
from daos_control.system.member import NIL_RANK

log = logging.getLogger(__name__)

QUEUE_EVENTS_MAX = 1024

Forward = Callable[[RasEvent], Awaitable[None]]
"""Brings a state change to the management service; may raise where it could not."""

_SYSLOG_PRIORITY: Final[dict[int, int]] = {
    Severity.ERROR: syslog.LOG_ERR,
    Severity.WARNING: syslog.LOG_WARNING,
    Severity.NOTICE: syslog.LOG_NOTICE,
}


class Events:
    """Takes every event that is born on this host: of its engines, its storage, its management service.

    Each is logged. State changes go to the management service, in their order, from a queue of QUEUE_EVENTS_MAX:
    beyond it they are dropped and counted, as a storm of events must not take the server with it.
    """

    def __init__(self, *, hostname: str, clock: Clock, to_syslog: bool) -> None:
        self._hostname: Final = hostname
        self._clock: Final = clock
        self._to_syslog: Final = to_syslog
        self._queue: Final[asyncio.Queue[RasEvent]] = asyncio.Queue(QUEUE_EVENTS_MAX)
        self._self_terminated: Callable[[RasEvent], None] = lambda _event: None
        self._engine_ready: Callable[[], None] = lambda: None
        self.dropped = 0

    def on_self_terminated(self, handler: Callable[[RasEvent], None]) -> None:
        """Who is told that an engine of this host announced its own end."""
        self._self_terminated = handler

    def on_engine_ready(self, handler: Callable[[], None]) -> None:
        self._engine_ready = handler

    def publish(self, event: RasEvent, *, forward: bool = True) -> None:
        """Never blocks, never raises. `forward` false keeps a state change on this host."""
        line = str(event)
        log.info("&&& RAS %s", line)
        if self._to_syslog:
            syslog.syslog(syslog.LOG_DAEMON | _SYSLOG_PRIORITY.get(event.severity, syslog.LOG_NOTICE), line)
        if event.is_state_change:
            if forward:
                self._enqueue(event)
        elif event.id == RasId.ENGINE_SELF_TERMINATED:
            self._self_terminated(event)

    async def run(self, forward: Forward) -> None:
        """Bring state changes to the management service until cancelled. One that it does not take is lost: what it
        tells will be found out in another way, if later."""
        while True:
            event = await self._queue.get()
            try:
                await forward(event)
            except Exception as error:  # noqa: BLE001 - the next event must have its turn
                log.info("the management service did not take the event %s: %s", event.name, error)

    def _enqueue(self, event: RasEvent) -> None:
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # at each power of two
                log.error("too many events: %d were not sent to the management service", self.dropped)

    # instance.Observer

    def engine_died(self, instance: Instance, pid: int, reason: str) -> None:
        rank = NIL_RANK if instance.rank is None else instance.rank
        event = events.engine_died(
            self._hostname, instance.index, rank, instance.incarnation, reason, pid, now=self._clock.now()
        )
        self.publish(event, forward=rank != NIL_RANK)  # without a rank there is no member to record it for

    def format_required(self, instance: Instance, missing: Missing) -> None:
        self.publish(
            events.engine_format_required(self._hostname, instance.index, missing.value, now=self._clock.now())
        )

    def engine_ready(self, instance: Instance) -> None:  # noqa: ARG002 - the observer's signature
        self._engine_ready()
