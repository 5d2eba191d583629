# ruff: noqa: ASYNC109
"""What surrounds the management service, in memory: a store, engines, the other servers, a clock. They behave."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.faults import Status
from daos_control.faults.server import data_plane_not_started
from daos_control.ms.edges import EngineNotReadyError
from daos_control.ms.service import ManagementService
from daos_control.ms.settings import ClientNetHint, Limits, MsSettings
from daos_control.proto.mgmt import pool_pb2, svc_pb2
from daos_control.store.interface import FencedError
from daos_control.system.changes import Change
from daos_control.system.database import SystemDatabase
from daos_control.system.events import RasEvent
from daos_control.system.member import NIL_RANK
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult
from daos_control.system.state import MemberState

SYS = "daos_server-2.8.0"
HERE = "127.0.0.1:10001"
GIB = 1 << 30


class FakeClock:
    """Stands still unless told otherwise."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 3, 30, 52, 497022, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class MemoryStore:
    """Keeps what was committed. `gate` holds commits back while it is clear; `errors` are those of the next
    ones, which fail after they were kept where `keeps_on_error`."""

    def __init__(self) -> None:
        self.kept = SystemDatabase()
        self.batches: list[tuple[Change, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.committing = asyncio.Event()
        self.errors: list[Exception | None] = []
        self.keeps_on_error = False
        self.is_closed = False

    async def load(self) -> SystemDatabase:
        return self.kept.copy()

    async def commit(self, changes: Sequence[Change], *, base: SystemDatabase, result: SystemDatabase) -> None:
        self.committing.set()
        await self.gate.wait()
        if self.kept.version != base.version:
            raise FencedError("somebody else was here")
        error = self.errors.pop(0) if self.errors else None
        if error is None or self.keeps_on_error:
            replayed = base.copy()
            replayed.apply(changes)
            assert replayed.version == result.version
            replayed.check_invariants()
            self.kept = replayed
            self.batches.append(tuple(changes))
        if error is not None:
            raise error

    async def erase(self) -> None:
        self.kept = SystemDatabase()

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class FakePool:
    request: pool_pb2.PoolCreateReq
    handles: int = 0
    containers: list[str] = field(default_factory=list)
    properties: dict[int, int | str] = field(default_factory=dict)


class FakeEngines:
    """One local engine with pools in memory; `calls` are the requests as they came.

    `space` is bytes per rank. `statuses` makes a method answer a status, `errors` makes it fail after (`errors`) or
    before (`refusals`) it was carried out, once each; `gates` holds a method back until its event is set.
    """

    targets = 1
    has_bdevs = False
    md_on_ssd = False

    def __init__(self, ranks: Sequence[int] = (0,)) -> None:
        self.ranks = set(ranks)
        self.space = 16 * GIB
        self.pools: dict[str, FakePool] = {}
        self.calls: list[tuple[Method, Message]] = []
        self.statuses: dict[Method, int] = {}
        self.errors: dict[Method, Exception] = {}
        self.refusals: dict[Method, Exception] = {}
        self.gates: dict[Method, asyncio.Event] = {}
        self.entered: dict[Method, asyncio.Event] = {}
        self.maps: list[svc_pb2.GroupUpdateReq] = []
        self.map_statuses: list[int] = []
        self.map_attempts = 0
        self.updated = asyncio.Event()
        self._updating = False

    def hold(self, method: Method) -> asyncio.Event:
        """The event that is set when the method has been called; `gates[method].set()` lets it go on."""
        self.gates[method] = asyncio.Event()
        self.entered[method] = asyncio.Event()
        return self.entered[method]

    def of(self, method: Method) -> list[Any]:
        return [request for called, request in self.calls if called is method]

    def ready_ranks(self) -> frozenset[int]:
        return frozenset(self.ranks)

    async def wait_ready(self) -> None:
        return None

    async def update_group(self, request: svc_pb2.GroupUpdateReq, *, timeout: float) -> int:
        assert not self._updating, "group updates must not overlap"
        self.map_attempts += 1
        self._updating = True
        try:
            await asyncio.sleep(0)
            if self.ranks.isdisjoint(engine.rank for engine in request.engines):
                raise EngineNotReadyError
            if self.maps:
                assert request.map_version >= self.maps[-1].map_version, "an older map after a newer"
            status = self.map_statuses.pop(0) if self.map_statuses else 0
            if status == 0:
                copy = svc_pb2.GroupUpdateReq()
                copy.CopyFrom(request)
                self.maps.append(copy)
            self.updated.set()
            return status
        finally:
            self._updating = False

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:
        assert request is not None
        if method in self.refusals:
            raise self.refusals.pop(method)
        if not self.ranks:
            raise data_plane_not_started()
        copy = type(request)()
        copy.CopyFrom(request)
        self.calls.append((method, copy))
        if method in self.gates:
            self.entered[method].set()
            async with asyncio.timeout(timeout):
                await self.gates[method].wait()
        if method in self.statuses:
            assert method.response is not None
            return method.response(status=self.statuses[method])
        reply = self._answer(method, copy)
        if method in self.errors:
            raise self.errors.pop(method)
        return reply

    def _answer(self, method: Method, request: Any) -> Message:
        match method:
            case Method.POOL_CREATE:
                return self._create(request)
            case Method.POOL_DESTROY:
                self.pools.pop(request.id, None)
                return pool_pb2.PoolDestroyResp()
        assert method.response is not None
        pool = self.pools.get(request.id)
        if pool is None:
            return method.response(status=Status.NONEXIST)
        match method:
            case Method.POOL_EVICT:
                if request.destroy and pool.handles and not request.force_destroy:
                    return pool_pb2.PoolEvictResp(status=Status.BUSY)
                count, pool.handles = pool.handles, 0
                return pool_pb2.PoolEvictResp(count=count)
            case Method.LIST_CONTAINERS:
                conts = [pool_pb2.ListContResp.Cont(uuid=uuid) for uuid in pool.containers]
                return pool_pb2.ListContResp(containers=conts)
            case Method.POOL_QUERY:
                return pool_pb2.PoolQueryResp(
                    uuid=request.id,
                    svc_ldr=min(pool.request.ranks),
                    svc_reps=[min(pool.request.ranks)],
                    query_mask=request.query_mask,
                    enabled_ranks=RankSet(pool.request.ranks).ranged,
                )
            case Method.POOL_SET_PROP:
                for value in request.properties:
                    pool.properties[value.number] = value.strval or value.numval
                return pool_pb2.PoolSetPropResp()
            case Method.POOL_GET_PROP:
                return pool_pb2.PoolGetPropResp(
                    properties=[pool_pb2.PoolProperty(number=p.number, numval=3) for p in request.properties]
                )
        raise AssertionError(f"unexpected {method}")

    def _create(self, request: pool_pb2.PoolCreateReq) -> pool_pb2.PoolCreateResp:
        used = sum(pool.request.tier_bytes[0] for pool in self.pools.values())
        if used + request.tier_bytes[0] > self.space:
            return pool_pb2.PoolCreateResp(status=Status.NOSPACE)
        assert request.uuid not in self.pools, "a pool created twice"
        self.pools[request.uuid] = FakePool(request)
        replicas = [min(request.ranks)]
        return pool_pb2.PoolCreateResp(
            svc_ldr=replicas[0], svc_reps=replicas, tgt_ranks=request.ranks, tier_bytes=request.tier_bytes
        )


class FakeRanks:
    """The servers of all hosts. `down` ones fail, `silent` ones never answer; `failing` ranks report an error."""

    def __init__(self) -> None:
        self.down: dict[str, Exception] = {}
        self.silent: set[str] = set()
        self.failing: set[int] = set()
        self.asked: list[tuple[str, str, RankSet]] = []
        self.at_once = 0
        self.at_once_max = 0

    async def _do(self, action: str, address: str, ranks: RankSet, state: MemberState) -> Sequence[RankResult]:
        self.asked.append((action, address, ranks))
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            await asyncio.sleep(0)
            if address in self.down:
                raise self.down[address]
            if address in self.silent:
                await asyncio.Event().wait()
            return [
                RankResult(rank, action, MemberState.ERRORED, True, "no")
                if rank in self.failing
                else RankResult(rank, action, state, message=f"system {action}")
                for rank in ranks
            ]
        finally:
            self.at_once -= 1

    async def prep_shutdown(self, address: str, ranks: RankSet, *, timeout: float) -> Sequence[RankResult]:
        return await self._do("prep", address, ranks, MemberState.STOPPING)

    async def stop(self, address: str, ranks: RankSet, *, force: bool, timeout: float) -> Sequence[RankResult]:
        return await self._do("stop", address, ranks, MemberState.STOPPED)

    async def start(
        self, address: str, ranks: RankSet, *, check_mode: bool, timeout: float
    ) -> Sequence[RankResult]:
        return await self._do("start", address, ranks, MemberState.READY)

    async def reset_format(self, address: str, ranks: RankSet, *, timeout: float) -> Sequence[RankResult]:
        return await self._do("reset", address, ranks, MemberState.AWAIT_FORMAT)


@dataclass
class FakeContext:
    """Of a gRPC call."""

    address: str = "ipv4:127.0.0.1:40000"
    left: float | None = 5.0

    def peer(self) -> str:
        return self.address

    def time_remaining(self) -> float | None:
        return self.left


def settings(**changes: Any) -> MsSettings:
    known: dict[str, Any] = {
        "system_name": "daos_server",
        "address": HERE,
        "replicas": (HERE,),
        "providers": ("ofi+tcp",),
        "client_net_hints": (ClientNetHint("ofi+tcp", net_dev_class=1, env_vars=("A=1",)),),
        "hostname": "vm",
        "limits": Limits(retry_min_s=0.001, retry_max_s=0.01, close_s=1.0),
    }
    return MsSettings(**(known | changes))


class World:
    """A management service with everything around it in memory."""

    def __init__(self, **changes: Any) -> None:
        self.store = MemoryStore()
        self.engines = FakeEngines()
        self.hosts = FakeRanks()
        self.clock = FakeClock()
        self.events: list[RasEvent] = []
        self.service = ManagementService(
            settings(**changes),
            self.engines,
            self.hosts,
            self.clock,
            self.events.append,
            store=lambda _: self.store,
        )

    async def __aenter__(self) -> "World":
        await self.service.open(Path("/nowhere"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.close()

    @property
    def db(self) -> SystemDatabase:
        return self.service.db

    async def until(self, condition: Callable[[SystemDatabase], bool]) -> None:
        """Wait for a commit after which the condition holds."""
        changed = asyncio.Event()
        self.service.session.writer.subscribe(lambda *_: changed.set())
        async with asyncio.timeout(5):
            while not condition(self.db):
                changed.clear()
                await changed.wait()

    async def call(self, method: str, request: Message, context: FakeContext | None = None) -> Any:
        """As gRPC calls it."""
        return await getattr(self.service.servicer, method)(request, context or FakeContext())

    async def join(self, number: int, **changes: Any) -> svc_pb2.JoinResp:
        return await self.call("Join", join_request(number, **changes))

    async def create(self, uuid: str, label: str, **changes: Any) -> pool_pb2.PoolCreateResp:
        return await self.call("PoolCreate", create_request(uuid, label, **changes))


def join_request(number: int, **changes: Any) -> svc_pb2.JoinReq:
    """Of the engine of that number: on a host of its own, and rank 0 where it is the first."""
    known: dict[str, Any] = {
        "sys": SYS,
        "uuid": f"00000000-0000-4000-8000-{number:012}",
        "rank": 0 if number == 0 else NIL_RANK,
        "uri": f"ofi+tcp://10.0.{number >> 8}.{number & 255}:31416",
        "nctxs": 3,
        "addr": HERE if number == 0 else f"10.0.{number >> 8}.{number & 255}:10001",
        "srvFaultDomain": f"/host{number}",
        "incarnation": 100,
    }
    return svc_pb2.JoinReq(**(known | changes))


def pool_uuid(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012}"


def create_request(uuid: str, label: str, **changes: Any) -> pool_pb2.PoolCreateReq:
    known: dict[str, Any] = {
        "sys": SYS,
        "uuid": uuid,
        "user": "root@",
        "user_group": "root@",
        "properties": [pool_pb2.PoolProperty(number=1, strval=label)] if label else [],
        "total_bytes": GIB,
        "tier_ratio": [0.06, 0.94],
    }
    return pool_pb2.PoolCreateReq(**(known | changes))
