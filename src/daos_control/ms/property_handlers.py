"""System properties, which the system understands, and attributes, which it only keeps."""

from daos_control.drpc import Method
from daos_control.faults import ControlError
from daos_control.messages.pools import to_properties
from daos_control.ms.calls import Call
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import pool_pb2, svc_pb2, system_pb2
from daos_control.system.properties import (
    decide_set_attributes,
    decide_set_properties,
    get_attributes,
    get_properties,
)


class PropertyHandlers:
    """SystemSetAttr, SystemGetAttr, SystemSetProp and SystemGetProp."""

    def __init__(self, settings: MsSettings, session: Session, pools: PoolCalls) -> None:
        self._settings = settings
        self._session = session
        self._pools = pools

    async def set_attributes(self, request: system_pb2.SystemSetAttrReq, _call: Call) -> svc_pb2.DaosResp:
        values = dict(request.attributes)
        await self._session.submit(lambda db, _now: decide_set_attributes(db, values))
        return svc_pb2.DaosResp()

    async def get_attributes(
        self, request: system_pb2.SystemGetAttrReq, _call: Call
    ) -> system_pb2.SystemGetAttrResp:
        return system_pb2.SystemGetAttrResp(attributes=get_attributes(self._session.db, request.keys))

    async def get_properties(
        self, request: system_pb2.SystemGetPropReq, _call: Call
    ) -> system_pb2.SystemGetPropResp:
        found = get_properties(self._session.db, request.keys, system_name=self._settings.system_name)
        return system_pb2.SystemGetPropResp(properties=found)

    async def set_properties(self, request: system_pb2.SystemSetPropReq, call: Call) -> svc_pb2.DaosResp:
        """Those that are defaults of a pool property are also set on every pool that is ready; the first that
        fails ends it, with the system's own value already changed."""
        values = dict(request.properties)
        inherited = await self._session.submit(lambda db, _now: decide_set_properties(db, values))
        if inherited:
            work = self._set_on_pools(request.sys, inherited, call)
            await self._session.to_the_end(work, "set pool properties")
        return svc_pb2.DaosResp()

    async def _set_on_pools(self, system: str, values: tuple[tuple[int, int | str], ...], call: Call) -> None:
        for pool in self._pools.ready_pools():
            request = pool_pb2.PoolSetPropReq(
                sys=system, id=pool.uuid, svc_ranks=pool.replicas, properties=to_properties(values)
            )
            reply = await self._pools.call(Method.POOL_SET_PROP, request, call, pool_pb2.PoolSetPropResp)
            if reply.status != 0:
                raise ControlError(f"SystemSetProp: pool {pool.uuid} answered {reply.status}")
