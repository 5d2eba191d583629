"""Destroys, in the background, the pools that somebody wanted gone and that are not yet."""

import asyncio
import logging
from datetime import datetime
from functools import partial

from daos_control.drpc import Method
from daos_control.faults import ControlError, DaosError, Fault, Status
from daos_control.ms.calls import Call
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.pool_locks import PoolLocks
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.pool import PoolState
from daos_control.system.pools import decide_abandoned, decide_destroyed, destroy_ranks, unfinished
from daos_control.version import system_request_name

log = logging.getLogger(__name__)


class PoolCleaner:
    """Best effort, one pool after the other, again with growing waits until none is left.

    A record in state Destroying is the intent: it survives a crash, and the pool is gone from everywhere before it
    is removed. A pool in state Creating is left to the create under way, which holds its lock. Without one, as
    after a crash in the middle of it, nobody was told of the pool and nobody will finish it: it goes as well, and
    its label is free before that.
    """

    def __init__(self, settings: MsSettings, session: Session, calls: PoolCalls, locks: PoolLocks) -> None:
        self._settings = settings
        self._session = session
        self._calls = calls
        self._locks = locks
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to clean up, or an engine that can do it."""
        self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        limits = self._settings.limits
        wait_s = limits.retry_min_s
        while True:
            self._wake.clear()
            if await self._try():
                wait_s = limits.retry_min_s
                await self._wake.wait()
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                wait_s = min(wait_s * 2, limits.retry_max_s)

    async def _try(self) -> bool:
        """Whether nothing is left; what goes wrong in a way that nobody foresaw must not end the service."""
        try:
            return await self._clean()
        except Exception:
            log.exception("clean-up of pools failed")
            return False

    async def _clean(self) -> bool:
        clean = await self._abandon()
        for pool in unfinished(self._session.db):
            if pool.state is PoolState.CREATING:
                continue
            request = pool_pb2.PoolDestroyReq(
                sys=system_request_name(self._settings.system_name), id=pool.uuid, force=True, recursive=True
            )
            try:
                async with self._locks.taken(pool.uuid, "clean-up"):
                    if not self._is_unwanted(pool.uuid):
                        continue
                    reply = await self.destroy_everywhere(request, Call.within(self._settings.limits.request_s))
                if reply.status != 0:
                    raise DaosError(reply.status)
            except (Fault, ControlError, DaosError) as error:
                log.info("pool %s is not cleaned up yet: %s", pool.uuid, error)
                clean = False
            else:
                log.info("pool %s cleaned up", pool.uuid)
        return clean

    async def _abandon(self) -> bool:
        """Give up pools that nobody creates any more; whether all of them could be."""
        clean = True
        for pool in unfinished(self._session.db):
            uuid = pool.uuid
            if pool.state is not PoolState.CREATING or self._locks.is_locked(uuid):
                continue
            try:
                async with self._locks.taken(uuid, "clean-up"):
                    await self._session.submit(partial(_abandoned, uuid))
            except (Fault, ControlError, DaosError) as error:
                log.info("pool %s, whose create was broken off, is not given up yet: %s", uuid, error)
                clean = False
            else:
                log.warning("the create of pool %s was broken off, the pool will be destroyed", uuid)
        return clean

    def _is_unwanted(self, uuid: str) -> bool:
        """Asked with the lock held: before, it may have been destroyed and created anew."""
        pool = self._session.db.pools.get(uuid)
        return pool is not None and pool.state is PoolState.DESTROYING

    async def destroy_everywhere(self, request: pool_pb2.PoolDestroyReq, call: Call) -> pool_pb2.PoolDestroyResp:
        """Have the pool destroyed on all ranks of the group map and, where that went well, forget it.

        The lock of the pool must be held, and its record be Destroying: its service is not asked, which may be gone
        already, and ranks that had left the pool are cleaned as well.
        """
        uuid = request.id
        del request.svc_ranks[:]
        request.svc_ranks.extend(destroy_ranks(self._session.db))
        reply = await self._calls.call(Method.POOL_DESTROY, request, call, pool_pb2.PoolDestroyResp)
        if reply.status in (Status.SUCCESS, Status.NONEXIST):
            reply.status = Status.SUCCESS
            await self._session.submit(lambda db, _now: decide_destroyed(db, uuid))
        return reply


def _abandoned(uuid: str, db: SystemDatabase, now: datetime) -> Decision[None]:
    return decide_abandoned(db, uuid, now)
