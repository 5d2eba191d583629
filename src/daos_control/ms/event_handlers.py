"""RAS events: what the system does about them."""

import asyncio
import logging
from collections import OrderedDict
from datetime import datetime, timedelta

from daos_control.faults import ControlError
from daos_control.messages import events as event_messages
from daos_control.ms.calls import Call
from daos_control.ms.edges import Clock
from daos_control.ms.pool_locks import PoolLocks
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.shared import event_pb2
from daos_control.system.events import RasEvent, RasId
from daos_control.system.membership import Effect, decide_engine_died, decide_swim_rank_dead
from daos_control.system.names import canonical_uuid
from daos_control.system.pools import decide_replicas_updated

log = logging.getLogger(__name__)


class Debounce:
    """Events seen lately, of which the next alike says nothing new: one dead rank is reported by all the others.

    An event is remembered until it has not been seen for `memory_s` seconds; beyond `limit` the longest unseen one
    is forgotten.
    """

    def __init__(self, memory_s: float, limit: int) -> None:
        self._memory = timedelta(seconds=memory_s)
        self._limit = limit
        self._seen: OrderedDict[tuple[int, int], datetime] = OrderedDict()

    def is_repeated(self, key: tuple[int, int], now: datetime) -> bool:
        """Whether `key` is remembered; from now on it is."""
        while self._seen and next(iter(self._seen.values())) < now - self._memory:
            self._seen.popitem(last=False)
        repeated = self._seen.pop(key, None) is not None
        self._seen[key] = now
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return repeated

    def forget(self, key: tuple[int, int]) -> None:
        """What was to be done about it could not be: its next report counts again."""
        self._seen.pop(key, None)


class EventHandlers:
    """ClusterEvent, and the events of this host."""

    def __init__(self, settings: MsSettings, session: Session, locks: PoolLocks, clock: Clock) -> None:
        self._session = session
        self._locks = locks
        self._clock = clock
        self._replicas: dict[str, RasEvent] = {}  # the latest report of each pool that waits for its lock
        self._recording: dict[str, asyncio.Task[None]] = {}
        self._dead = Debounce(settings.limits.event_memory_s, settings.limits.debounced_events)

    async def cluster_event(self, request: event_pb2.ClusterEventReq, _call: Call) -> event_pb2.ClusterEventResp:
        """A state change on another server; the sequence is its own count."""
        if not request.HasField("event"):
            raise ControlError("nil event in request")
        await self.handle(event_messages.from_proto(request.event), forwarded=True)
        return event_pb2.ClusterEventResp(sequence=request.sequence)

    async def handle(self, event: RasEvent, *, forwarded: bool) -> None:
        """Do what the event asks for. `forwarded`: it comes from another server; one of this host is in its log
        already.

        Raises as `Session.submit` where the system's state could not be changed.
        """
        if forwarded:
            log.info("from another server: %s", event)
        match event.id:
            case RasId.ENGINE_DIED:
                await self._engine_died(event)
            case RasId.SWIM_RANK_DEAD:
                await self._rank_dead(event)
            case RasId.POOL_REPLICAS_UPDATED:
                self._replicas_updated(event)
            case _:
                log.debug("nothing to do about event %s", event.name)

    async def _engine_died(self, event: RasEvent) -> None:
        effect = await self._session.submit(lambda db, now: decide_engine_died(db, event, now))
        if effect is Effect.APPLIED:
            log.error("rank %d is errored: %s", event.rank, event.message)
        else:
            log.info(
                "death of rank %d, incarnation %d, not recorded: %s", event.rank, event.incarnation, effect.value
            )

    async def _rank_dead(self, event: RasEvent) -> None:
        key = (event.rank, event.incarnation)
        if self._dead.is_repeated(key, self._clock.now()):
            return
        try:
            effect = await self._session.submit(lambda db, now: decide_swim_rank_dead(db, event, now))
        except BaseException:
            self._dead.forget(key)
            raise
        if effect is Effect.APPLIED:
            log.warning("rank %d, incarnation %d, excluded: %s calls it dead", *key, event.hostname)
            return
        log.info("rank %d, incarnation %d, called dead by %s, stays: %s", *key, event.hostname, effect.value)
        if effect is Effect.NOT_WANTED:
            self._dead.forget(key)  # the policy may change back

    def _replicas_updated(self, event: RasEvent) -> None:
        """Recorded once nobody else works on the pool; never waited for: that may be a call to this engine."""
        uuid = canonical_uuid(event.pool_uuid)
        if uuid is None:
            log.error("event without a pool: %s", event)
            return
        if uuid not in self._session.db.pools:
            return
        self._replicas[uuid] = event
        task = self._recording.get(uuid)
        if task is None or task.done():
            task = self._session.start(self._record_replicas(uuid), f"replicas of pool {uuid}")
            self._recording[uuid] = task

    async def _record_replicas(self, uuid: str) -> None:
        try:
            async with self._locks.waited(uuid, "an update of its replicas"):
                while (event := self._replicas.pop(uuid, None)) is not None:
                    await self._record(uuid, event)
        finally:
            self._replicas.pop(uuid, None)
            self._recording.pop(uuid, None)

    async def _record(self, uuid: str, event: RasEvent) -> None:
        if await self._session.submit(lambda db, now: decide_replicas_updated(db, event, now)):
            log.info("pool %s: service replicas recorded: %s", uuid, event.detail)
