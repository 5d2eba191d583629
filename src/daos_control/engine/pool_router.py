"""Brings calls about a pool to a rank that keeps the pool's service: the first living one, else the next."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.engine.fabric import FabricMethod
from daos_control.engine.log import facility
from daos_control.engine.peers import Peers
from daos_control.engine.shards import ShardStore
from daos_control.engine.storage import is_uuid
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto import drpc_pb2

FORWARD_SECONDS = 30.0
_TRY_NEXT = frozenset({Status.UNREACH, Status.TIMEDOUT, Status.OOG, Status.NONEXIST})

_log = facility("pool")


class PoolRequest(Protocol):
    """What all requests about a pool have: its uuid, and the ranks of its service as the server knows them."""

    @property
    def id(self) -> str: ...
    @property
    def svc_ranks(self) -> Sequence[int]: ...


Request = TypeVar("Request", bound=Message)
PoolHandler = Callable[[Any], Awaitable[Message]]


class PoolRouter:
    """Serves the pool methods of dRPC that a pool's service answers."""

    def __init__(self, peers: Peers, shards: ShardStore) -> None:
        self._peers = peers
        self._shards = shards
        self._handlers: dict[Method, PoolHandler] = {}

    def handle(self, method: Method, handler: PoolHandler) -> None:
        """`handler` serves the method where the pool's service is kept; it raises DaosError."""
        self._handlers[method] = handler

    @property
    def methods(self) -> tuple[Method, ...]:
        return tuple(self._handlers)

    async def route(self, method: Method, request: PoolRequest) -> Message:
        """The reply of a rank that keeps the service. Raises DaosError: its own, or why none could."""
        uuid = request.id.lower()
        if not is_uuid(uuid):
            raise DaosError(Status.INVAL, f"{request.id!r} is no pool uuid")
        failure = DaosError(Status.NONEXIST, f"no service of pool {uuid} is known")
        for rank in self._candidates(uuid, request.svc_ranks):
            try:
                return await self._call(rank, method, request)
            except DaosError as error:
                if error.status not in _TRY_NEXT:
                    raise
                _log.info("pool %s, %s: rank %d: %s", uuid, method.name, rank, error)
                # That somebody could not be reached says more than that somebody else does not know the pool.
                if failure.status == Status.NONEXIST:
                    failure = error
        raise failure

    def _candidates(self, uuid: str, hint: Sequence[int]) -> list[int]:
        shard = self._shards.get(uuid)
        ranks = sorted(set(shard.spec.service_ranks if shard is not None else hint))
        return sorted(ranks, key=lambda rank: (self._peers.is_dead(rank), rank))

    async def _call(self, rank: int, method: Method, request: Any) -> Message:
        if rank == self._peers.me:
            return await self._handlers[method](request)
        call = drpc_pb2.Call(module=method.module, method=method.number, body=request.SerializeToString())
        body = await self._peers.call_raw(rank, FabricMethod.POOL_CALL, call.SerializeToString(), FORWARD_SECONDS)
        if method.response is None:
            raise DaosError(Status.PROTO, f"{method.name} has no reply")
        reply: Any = method.response.FromString(body)
        if reply.status != 0:
            raise DaosError(reply.status, f"rank {rank}")
        return method.response.FromString(body)

    async def answer(self, body: bytes) -> bytes:
        """POOL_CALL from a peer: served here or not at all, so that no call goes round in circles."""
        call = drpc_pb2.Call.FromString(body)
        method = Method.lookup(call.module, call.method)
        if method is None or method not in self._handlers or method.request is None or method.response is None:
            raise ValueError(f"method {call.method} of module {call.module} is not served to peers")
        try:
            reply = await self._handlers[method](method.request.FromString(call.body))
        except DaosError as error:
            _log.info("%s for a peer: %s", method.name, error)
            reply = failed(method, error)
        return reply.SerializeToString()


def failed(method: Method, error: DaosError) -> Message:
    """The reply to `method` that carries an error's status."""
    if method.response is None:
        raise error
    reply: Any = method.response()
    reply.status = int(error.status)
    return reply  # type: ignore[no-any-return]
