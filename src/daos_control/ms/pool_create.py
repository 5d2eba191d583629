"""PoolCreate: from a request to a recorded pool, once per uuid however often it is asked for."""

import asyncio
import logging
import random

from daos_control.drpc import Method
from daos_control.faults import ControlError, DaosError, Status
from daos_control.messages.pools import create_request, to_properties
from daos_control.ms.calls import Call
from daos_control.ms.edges import LocalEngines
from daos_control.ms.faults import InDoubtError
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.pool_cleaner import PoolCleaner
from daos_control.ms.pool_locks import PoolLocks
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.names import canonical_uuid
from daos_control.system.pool import PoolService
from daos_control.system.pools import (
    CreatePlan,
    Engines,
    ExistingPool,
    UnfinishedPool,
    decide_abandoned,
    decide_create,
    decide_create_failed,
    decide_created,
    decide_destroying,
)
from daos_control.system.properties import pool_properties_for_create

log = logging.getLogger(__name__)


class PoolCreator:
    """Creates pools, one at a time in the whole system, as sizes and ranks are picked from what is free.

    A pool is recorded as Creating before the engine hears of it, and as Ready before the caller does. A create that
    is asked for again, with the same uuid, answers what is there; one that was broken off is cleaned up, and the
    caller told to try again (-1013). Where the engine says no, nothing stays; where nobody knows what it did, the
    record loses its label, which is free again at once, and the pool is destroyed in the background.
    """

    def __init__(
        self,
        settings: MsSettings,
        session: Session,
        engines: LocalEngines,
        calls: PoolCalls,
        locks: PoolLocks,
        cleaner: PoolCleaner,
    ) -> None:
        self._waiting_max = settings.limits.waiting_creates
        self._session = session
        self._engines = engines
        self._calls = calls
        self._locks = locks
        self._cleaner = cleaner
        self._turn = asyncio.Lock()  # of callers: who leaves while waiting creates nothing
        self._running = asyncio.Lock()  # of creates: one may outlive its caller
        self._waiting = 0

    async def create(self, request: pool_pb2.PoolCreateReq, call: Call) -> pool_pb2.PoolCreateResp:
        """Raises Faults 402, 604 to 609, 615, 619, DaosError AGAIN, and as `PoolCalls.call`; an engine's refusal is
        the reply's `status`."""
        uuid = canonical_uuid(request.uuid)
        if uuid is None:
            raise ControlError(f"failed to parse pool UUID {request.uuid!r}")
        if self._waiting >= self._waiting_max:
            raise DaosError(Status.AGAIN, "too many pools are being created")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._session.to_the_end(
                    self._create_or_leave(request, uuid, call), f"create of pool {uuid}"
                )
        finally:
            self._waiting -= 1

    async def _create_or_leave(
        self, request: pool_pb2.PoolCreateReq, uuid: str, call: Call
    ) -> pool_pb2.PoolCreateResp:
        """What a failed create leaves behind is the cleaner's, once the pool is not locked any more."""
        try:
            return await self._create(request, uuid, call)
        except Exception:
            self._cleaner.wake()
            raise

    async def _create(self, request: pool_pb2.PoolCreateReq, uuid: str, call: Call) -> pool_pb2.PoolCreateResp:
        async with self._running, self._locks.taken(uuid, "pool create"):
            asked = create_request(request, uuid)
            engines = Engines(self._engines.targets, self._engines.has_bdevs, self._engines.md_on_ssd)
            outcome = await self._session.submit(
                lambda db, now: decide_create(db, asked, engines, now, pick=random.sample)
            )
            match outcome:
                case ExistingPool(pool):
                    return await self._describe(request, pool, call)
                case UnfinishedPool(pool):
                    await self._session.submit(lambda db, now: decide_destroying(db, pool.uuid, now))
                    raise DaosError(Status.AGAIN, f"pool {uuid} was left unfinished and is being cleaned up")
                case CreatePlan():
                    return await self._ask_engine(self._to_engine(request, outcome), uuid, call)

    def _to_engine(self, request: pool_pb2.PoolCreateReq, plan: CreatePlan) -> pool_pb2.PoolCreateReq:
        """The request with what was asked for in place of how it was asked for."""
        pool = plan.pool
        changed = pool_pb2.PoolCreateReq()
        changed.CopyFrom(request)
        for decided in ("total_bytes", "tier_ratio", "num_ranks", "ranks", "tier_bytes", "fault_domains"):
            changed.ClearField(decided)
        changed.uuid = pool.uuid
        changed.ranks.extend(pool.creation_ranks)
        changed.tier_bytes.extend(pool.tier_bytes)
        changed.mem_ratio = pool.mem_ratio
        changed.fault_domains.extend(plan.fault_domains)
        given = {value.number for value in request.properties}
        changed.properties.extend(to_properties(pool_properties_for_create(self._session.db, given)))
        return changed

    async def _ask_engine(self, request: pool_pb2.PoolCreateReq, uuid: str, call: Call) -> pool_pb2.PoolCreateResp:
        try:
            reply = await self._calls.attempt(Method.POOL_CREATE, request, call, pool_pb2.PoolCreateResp)
        except InDoubtError as doubt:
            log.warning("create of pool %s is in doubt, the pool will be destroyed: %s", uuid, doubt.error)
            await self._session.submit(lambda db, now: decide_abandoned(db, uuid, now))
            raise doubt.error from doubt
        except Exception:
            await self._session.submit(lambda db, _now: decide_create_failed(db, uuid))
            raise
        if reply.status != 0:
            await self._session.submit(lambda db, _now: decide_create_failed(db, uuid))
            return reply
        replicas = tuple(reply.svc_reps)
        await self._session.submit(lambda db, now: decide_created(db, uuid, replicas, now))
        log.info("pool %s created on ranks %s", uuid, ",".join(map(str, request.ranks)))
        return reply

    async def _describe(
        self, request: pool_pb2.PoolCreateReq, pool: PoolService, call: Call
    ) -> pool_pb2.PoolCreateResp:
        """The reply for a pool that an earlier try has created; its engine knows the rest."""
        query = await self._calls.query(pool_pb2.PoolQueryReq(sys=request.sys, id=pool.uuid), call)
        if query.status != 0:
            raise DaosError(query.status, "query on already-created pool failed")
        return pool_pb2.PoolCreateResp(
            svc_ldr=query.svc_ldr,
            svc_reps=pool.replicas,
            tgt_ranks=pool.creation_ranks,
            tier_bytes=pool.tier_bytes,
            mem_file_bytes=query.mem_file_bytes,
            md_on_ssd_active=query.md_on_ssd_active,
        )
