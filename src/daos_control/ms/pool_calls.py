"""Calls that go through a local engine to the service of a pool, or to all engines about a pool."""

import logging
from typing import Protocol, TypeVar

from google.protobuf.internal.containers import RepeatedScalarFieldContainer
from google.protobuf.message import Message

from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.faults import DaosError, Status
from daos_control.ms.calls import Call
from daos_control.ms.edges import EngineNotReadyError, LocalEngines
from daos_control.ms.faults import InDoubtError, engine_lost, engine_refused
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.pools import ready, service_ranks
from daos_control.system.properties import self_heal_policy
from daos_control.system.ranks import RankSet
from daos_control.version import system_request_name

log = logging.getLogger(__name__)

Reply = TypeVar("Reply", bound=Message)

QUERY_ENABLED_ENGINES = 0x4
QUERY_DEAD_ENGINES = 0x10
QUERY_SELF_HEAL_POLICY = 0x40
QUERY_DEFAULT = 0xFFFF_FFFF_FFFF_FFFF & ~(QUERY_ENABLED_ENGINES | QUERY_DEAD_ENGINES | QUERY_SELF_HEAL_POLICY)


class PoolRequest(Protocol):
    """What requests to a pool's service have in common; the generated message is changed in place."""

    id: str

    @property
    def svc_ranks(self) -> "RepeatedScalarFieldContainer[int]": ...


class PoolCalls:
    """The way to a pool's service: by uuid, to the available ranks of its replicas, with errors that say enough."""

    def __init__(self, settings: MsSettings, session: Session, engines: LocalEngines) -> None:
        self._settings = settings
        self._session = session
        self._engines = engines

    def ready_pools(self) -> list[PoolService]:
        """Those in service, in the order of their uuids."""
        pools = self._session.db.pools.values()
        return sorted((pool for pool in pools if pool.state is PoolState.READY), key=lambda pool: pool.uuid)

    def address(self, request: PoolRequest) -> PoolService:
        """Put the pool's uuid in place of its label, and the ranks to ask where the request names none.

        Raises PoolNotFoundError, DaosError AGAIN for a pool that is not ready, ControlError where none of its
        service's ranks is available.
        """
        db = self._session.db
        pool = ready(db, request.id)
        request.id = pool.uuid
        if not request.svc_ranks:
            request.svc_ranks.extend(service_ranks(db, pool))
        return pool

    async def to_service(self, method: Method, request: Message, call: Call, reply: type[Reply]) -> Reply:
        """Address the request (a `PoolRequest`) and make the call."""
        self.address(request)  # type: ignore[arg-type]
        return await self.call(method, request, call, reply)

    async def call(self, method: Method, request: Message, call: Call, reply: type[Reply]) -> Reply:
        """The request as it is, to a local engine. The `status` in the reply is the caller's to look at.

        Raises Fault 610 and 611, DaosError AGAIN while no local engine is set up, DaosError TIMEDOUT, and Fault
        600 where the engine breaks the protocol.
        """
        try:
            return await self.attempt(method, request, call, reply)
        except InDoubtError as doubt:
            raise doubt.error from doubt

    async def attempt(self, method: Method, request: Message, call: Call, reply: type[Reply]) -> Reply:
        """As `call`, with InDoubtError around what may have happened after the request had reached the engine."""
        try:
            answer = await self._engines.call(method, request, timeout=call.remaining_s)
        except EngineNotReadyError as error:
            raise DaosError(Status.AGAIN, str(error)) from error
        except TimeoutError as error:
            raise InDoubtError(DaosError(Status.TIMEDOUT, f"no reply to {method.name} in time")) from error
        except (OSError, FramingError) as error:
            raise InDoubtError(engine_lost(method.name, str(error))) from error
        except DrpcStatusError as error:
            raise InDoubtError(engine_refused(method.name, str(error))) from error
        if not isinstance(answer, reply):
            raise InDoubtError(engine_refused(method.name, f"it answered {type(answer).__name__}"))
        return answer

    async def query(self, request: pool_pb2.PoolQueryReq, call: Call) -> pool_pb2.PoolQueryResp:
        """PoolQuery with the default mask in place of none, and the system's part of the self-heal policy added."""
        if request.query_mask == 0:
            request.query_mask = QUERY_DEFAULT
        reply = await self.to_service(Method.POOL_QUERY, request, call, pool_pb2.PoolQueryResp)
        reply.leader = reply.svc_ldr  # read by clients before 2.6
        reply.sys_self_heal_policy = self_heal_policy(self._session.db)
        return reply

    async def list_containers(self, request: pool_pb2.ListContReq, call: Call) -> pool_pb2.ListContResp:
        return await self.to_service(Method.LIST_CONTAINERS, request, call, pool_pb2.ListContResp)

    async def evict(self, request: pool_pb2.PoolEvictReq, call: Call) -> pool_pb2.PoolEvictResp:
        reply = await self.to_service(Method.POOL_EVICT, request, call, pool_pb2.PoolEvictResp)
        if reply.count > 0:
            log.info("pool %s: evicted %d handle(s)", request.id, reply.count)
        return reply

    async def enabled_in(self, rank: int, call: Call) -> tuple[str, ...]:
        """Uuids of the ready pools in which `rank` is enabled; each is asked, and must answer."""
        found = []
        for pool in self.ready_pools():
            request = pool_pb2.PoolQueryReq(
                sys=system_request_name(self._settings.system_name),
                id=pool.uuid,
                query_mask=QUERY_ENABLED_ENGINES,
            )
            reply = await self.query(request, call)
            if reply.status != 0:
                raise DaosError(reply.status, f"query of pool {pool.uuid} failed")
            if rank in RankSet.parse(reply.enabled_ranks):
                found.append(pool.uuid)
        return tuple(found)
