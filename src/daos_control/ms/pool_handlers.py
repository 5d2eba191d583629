"""What is asked of pools that exist: list, query, properties, handles, containers."""

from daos_control.drpc import Method
from daos_control.faults import ControlError, DaosError
from daos_control.messages.pools import LABEL_PROPERTY, to_list_entry
from daos_control.ms.calls import Call
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.pool_locks import PoolLocks
from daos_control.ms.session import Session
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.names import check_label
from daos_control.system.pools import decide_label, find


class PoolHandlers:
    """ListPools (from memory), PoolQuery, PoolGetProp, PoolSetProp, PoolEvict and ListContainers (by the engine).

    A DAOS status that the engine answers is the `status` of the reply.
    """

    def __init__(self, session: Session, calls: PoolCalls, locks: PoolLocks) -> None:
        self._session = session
        self._calls = calls
        self._locks = locks

    async def list_pools(self, _request: pool_pb2.ListPoolsReq, _call: Call) -> pool_pb2.ListPoolsResp:
        """Pools in every state, in the order of their uuids."""
        db = self._session.db
        pools = sorted(db.pools.values(), key=lambda pool: pool.uuid)
        return pool_pb2.ListPoolsResp(pools=[to_list_entry(pool) for pool in pools], data_version=db.version)

    async def query(self, request: pool_pb2.PoolQueryReq, call: Call) -> pool_pb2.PoolQueryResp:
        return await self._calls.query(request, call)

    async def list_containers(self, request: pool_pb2.ListContReq, call: Call) -> pool_pb2.ListContResp:
        return await self._calls.list_containers(request, call)

    async def evict(self, request: pool_pb2.PoolEvictReq, call: Call) -> pool_pb2.PoolEvictResp:
        return await self._calls.evict(request, call)

    async def get_properties(self, request: pool_pb2.PoolGetPropReq, call: Call) -> pool_pb2.PoolGetPropResp:
        """The request must name properties: not all of them may be got this way (the ACL may not)."""
        if not request.properties:
            raise ControlError("PoolGetProp() request with 0 properties")
        return await self._calls.to_service(Method.POOL_GET_PROP, request, call, pool_pb2.PoolGetPropResp)

    async def set_properties(self, request: pool_pb2.PoolSetPropReq, call: Call) -> pool_pb2.PoolSetPropResp:
        """The label first, and where it is refused nothing is set; the others by one call."""
        uuid = find(self._session.db, request.id).uuid
        if not request.properties:
            raise ControlError("PoolSetProp() request with 0 properties")
        return await self._session.to_the_end(self._set(request, uuid, call), f"set properties of pool {uuid}")

    async def _set(self, request: pool_pb2.PoolSetPropReq, uuid: str, call: Call) -> pool_pb2.PoolSetPropResp:
        async with self._locks.taken(uuid, "pool set-prop"):
            request.id = uuid
            labels = [value for value in request.properties if value.number == LABEL_PROPERTY]
            others = [value for value in request.properties if value.number != LABEL_PROPERTY]
            for label in labels:
                await self._set_label(request.sys, uuid, label, call)
            if not others:
                return pool_pb2.PoolSetPropResp()
            del request.properties[:]
            request.properties.extend(others)
            return await self._calls.to_service(Method.POOL_SET_PROP, request, call, pool_pb2.PoolSetPropResp)

    async def _set_label(self, system: str, uuid: str, value: pool_pb2.PoolProperty, call: Call) -> None:
        """Recorded before the engine is asked, so that no two pools can get one label; undone where it refuses."""
        request = pool_pb2.PoolSetPropReq(sys=system, id=uuid, properties=[value])
        previous = self._calls.address(request).label
        if value.strval:
            check_label(value.strval)
        await self._session.submit(lambda db, now: decide_label(db, uuid, value.strval, now))
        try:
            reply = await self._calls.call(Method.POOL_SET_PROP, request, call, pool_pb2.PoolSetPropResp)
            if reply.status != 0:
                raise DaosError(reply.status, "label update failed")
        except Exception:
            await self._session.submit(lambda db, now: decide_label(db, uuid, previous, now))
            raise
