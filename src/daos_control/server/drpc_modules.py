"""What engines may ask of the server: the modules Srv and Security of its dRPC socket."""

import contextlib
import logging
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from google.protobuf.message import Message

from daos_control.drpc import DrpcServer, DrpcStatus, DrpcStatusError, Method, Module
from daos_control.faults import (
    ControlError,
    NotLeaderError,
    NotReplicaError,
    Status,
    SystemUnavailableError,
    SystemUninitializedError,
)
from daos_control.messages import events as event_messages
from daos_control.proto.mgmt import system_pb2
from daos_control.proto.security import auth_pb2
from daos_control.proto.shared import event_pb2
from daos_control.proto.srv import srv_pb2
from daos_control.security import credentials
from daos_control.security.tls import Transport
from daos_control.server.instance import Instance
from daos_control.system.events import RasEvent
from daos_control.system.names import canonical_uuid
from daos_control.system.pool import PoolService

log = logging.getLogger(__name__)


class Pools(Protocol):
    """The pools of the system database; `ms.service.ManagementService` is one. Where this server has no database,
    or does not serve it now, its methods raise what the service answers its callers."""

    def pool_service(self, uuid: str) -> tuple[int, ...] | None: ...

    def pool_by_label(self, label: str) -> PoolService | None: ...

    def list_pools(self, include_all: bool) -> Sequence[PoolService]: ...


NO_DATABASE: Final = (SystemUnavailableError, SystemUninitializedError, NotReplicaError, NotLeaderError)
"""What the management service of a server says that cannot answer from its own database."""

SystemProperties = Callable[[Sequence[str]], Awaitable[dict[str, str]]]
"""Values of system properties by their names, of the leader; raises where they cannot be had."""


class ServerModules:
    """Handlers of the engines' calls."""

    def __init__(
        self,
        *,
        instances: Sequence[Instance],
        pools: Pools,
        properties: SystemProperties,
        publish: Callable[[RasEvent], None],
        transport: Transport,
    ) -> None:
        self._instances: Final = instances
        self._pools: Final = pools
        self._properties: Final = properties
        self._publish: Final = publish
        self._transport: Final = transport

    def register(self, server: DrpcServer) -> None:
        server.handle(Method.NOTIFY_READY, self._notify_ready)
        server.handle(Method.GET_POOL_SVC, self._get_pool_service)
        server.handle(Method.POOL_FIND_BY_LABEL, self._find_pool)
        server.handle(Method.CLUSTER_EVENT, self._cluster_event)
        server.handle(Method.LIST_POOLS, self._list_pools)
        server.handle(Method.GET_SYS_PROPS, self._get_properties)
        server.handle(Method.VALIDATE_CREDENTIALS, self._validate)
        server.register_module(Module.MGMT)  # known, and refused: the server only calls it

    async def _notify_ready(self, request: Message) -> None:
        assert isinstance(request, srv_pb2.NotifyReadyReq)
        index = request.instanceIdx
        if index >= len(self._instances):
            raise _failure(f"there is no engine {index} (of {len(self._instances)})")
        why = _no_socket(Path(request.drpcListenerSock)) if request.drpcListenerSock else "it names no socket"
        if why:
            raise _failure(f"engine {index} cannot be reached: {why}")
        try:
            self._instances[index].notify_ready(request)
        except ControlError as error:
            raise _failure(str(error)) from error

    async def _get_pool_service(self, request: Message) -> srv_pb2.GetPoolSvcResp:
        assert isinstance(request, srv_pb2.GetPoolSvcReq)
        uuid = canonical_uuid(request.uuid)
        if uuid is None:
            raise _failure(f"{request.uuid!r} is no pool uuid")
        with contextlib.suppress(*NO_DATABASE):
            ranks = self._pools.pool_service(uuid)
            if ranks is not None:
                return srv_pb2.GetPoolSvcResp(svcreps=ranks)
        return srv_pb2.GetPoolSvcResp(status=Status.NONEXIST)

    async def _find_pool(self, request: Message) -> srv_pb2.PoolFindByLabelResp:
        assert isinstance(request, srv_pb2.PoolFindByLabelReq)
        with contextlib.suppress(*NO_DATABASE):
            pool = self._pools.pool_by_label(request.label)
            if pool is not None:
                return srv_pb2.PoolFindByLabelResp(uuid=pool.uuid, svcreps=pool.replicas)
        return srv_pb2.PoolFindByLabelResp(status=Status.NONEXIST)

    async def _list_pools(self, request: Message) -> srv_pb2.ListPoolsResp:
        assert isinstance(request, srv_pb2.ListPoolsReq)
        try:
            found = self._pools.list_pools(request.include_all)
        except NO_DATABASE as error:
            raise _failure(f"the pools cannot be listed here: {error}") from error
        return srv_pb2.ListPoolsResp(
            pools=[srv_pb2.ListPoolsResp.Pool(uuid=p.uuid, label=p.label, svcreps=p.replicas) for p in found]
        )

    async def _cluster_event(self, request: Message) -> event_pb2.ClusterEventResp:
        assert isinstance(request, event_pb2.ClusterEventReq)
        if not request.HasField("event"):
            raise _failure("a cluster event without an event")
        self._publish(event_messages.from_proto(request.event))
        return event_pb2.ClusterEventResp(sequence=request.sequence)

    async def _get_properties(self, request: Message) -> system_pb2.SystemGetPropResp:
        assert isinstance(request, system_pb2.SystemGetPropReq)
        try:
            found = await self._properties(request.keys)
        except Exception as error:
            raise _failure(f"system properties {', '.join(request.keys)} are not to be had: {error}") from error
        return system_pb2.SystemGetPropResp(properties=found)

    async def _validate(self, request: Message) -> auth_pb2.ValidateCredResp:
        assert isinstance(request, auth_pb2.ValidateCredReq)
        reply = credentials.validate(request, self._transport)
        if reply.status != 0:
            log.error("credentials from %r were refused: status %d", request.cred.origin, reply.status)
        return reply


def _no_socket(path: Path) -> str:
    """Why there is no socket at `path`; empty where there is one."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return "" if stat.S_ISSOCK(mode) else f"{path} is no socket"


def _failure(why: str) -> DrpcStatusError:
    log.error("an engine's call was refused: %s", why)
    return DrpcStatusError(DrpcStatus.FAILURE, why)
