"""PoolDestroy: refuse what must not go, put everybody out, then remove it for good."""

import logging

from daos_control.faults import DaosError, PoolNotFoundError
from daos_control.faults.server import pool_has_containers
from daos_control.ms.calls import Call
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.pool_cleaner import PoolCleaner
from daos_control.ms.pool_locks import PoolLocks
from daos_control.ms.session import Session
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.pool import PoolState
from daos_control.system.pools import after_evict, decide_destroying, find

log = logging.getLogger(__name__)


class PoolDestroyer:
    """Destroys one pool. Once its record says Destroying there is no way back: what fails then is done later by the
    cleaner, or by the next destroy."""

    def __init__(self, session: Session, calls: PoolCalls, locks: PoolLocks, cleaner: PoolCleaner) -> None:
        self._session = session
        self._calls = calls
        self._locks = locks
        self._cleaner = cleaner

    async def destroy(self, request: pool_pb2.PoolDestroyReq, call: Call) -> pool_pb2.PoolDestroyResp:
        """Raises PoolNotFoundError, Fault 402 and 618, DaosError AGAIN for a pool that is not ready unless forced,
        and as `PoolCalls.call`; an engine's refusal is the reply's `status`."""
        uuid = find(self._session.db, request.id).uuid
        return await self._session.to_the_end(self._destroy(request, uuid, call), f"destroy of pool {uuid}")

    async def _destroy(self, request: pool_pb2.PoolDestroyReq, uuid: str, call: Call) -> pool_pb2.PoolDestroyResp:
        async with self._locks.taken(uuid, "pool destroy"):
            pool = self._session.db.pools.get(uuid)
            if pool is None:
                raise PoolNotFoundError(uuid=uuid)
            request.id = uuid
            if pool.state is not PoolState.DESTROYING:
                status = await self._vacate(request, call)
                if status is not None:
                    return pool_pb2.PoolDestroyResp(status=status)
            try:
                reply = await self._cleaner.destroy_everywhere(request, call)
            except Exception:
                self._cleaner.wake()
                raise
        if reply.status == 0:
            log.info("pool %s destroyed", uuid)
        else:
            self._cleaner.wake()
        return reply

    async def _vacate(self, request: pool_pb2.PoolDestroyReq, call: Call) -> int | None:
        """Make sure that the pool may go, close its handles and record it as Destroying; None, or the status to
        answer instead of going on."""
        uuid = request.id
        if not request.recursive:
            await self._refuse_containers(request, call)
        status = await self._evict(request, call)
        if status != 0:
            log.warning("evict before the destroy of pool %s answered %d", uuid, status)
        verdict = after_evict(status, force=request.force)
        if verdict.mark_destroying:
            await self._session.submit(lambda db, now: decide_destroying(db, uuid, now))
        return verdict.answer

    async def _refuse_containers(self, request: pool_pb2.PoolDestroyReq, call: Call) -> None:
        listed = await self._calls.list_containers(pool_pb2.ListContReq(sys=request.sys, id=request.id), call)
        if listed.status != 0:
            raise DaosError(listed.status, "the pool's containers could not be listed")
        if listed.containers:
            raise pool_has_containers(request.id)

    async def _evict(self, request: pool_pb2.PoolDestroyReq, call: Call) -> int:
        """The engine's status. Errors on the way count for nothing when the destroy is forced."""
        evict = pool_pb2.PoolEvictReq(sys=request.sys, id=request.id, destroy=True, force_destroy=request.force)
        try:
            reply = await self._calls.evict(evict, call)
        except Exception as error:
            if not request.force:
                raise
            log.warning("evict before the forced destroy of pool %s failed: %s", request.id, error)
            return 0
        return reply.status
