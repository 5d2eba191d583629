"""The management service behind a real gRPC server, on a real SQLite file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from daos_control.drpc import Method
from daos_control.faults import ControlError, DaosError, Fault, NotReplicaError
from daos_control.faults.wire import from_rpc_error
from daos_control.ms.clock import SystemClock
from daos_control.ms.service import DATABASE_NAME, ManagementService
from daos_control.proto.mgmt import mgmt_pb2_grpc, pool_pb2, svc_pb2, system_pb2
from daos_control.server.interceptors import RequestInterceptor
from fakes_ms import GIB, SYS, FakeEngines, FakeRanks, create_request, join_request, pool_uuid, settings

pytestmark = pytest.mark.asyncio

HEADERS = (("x-daos-component", "server"), ("x-daos-version", "2.8.0"))


class Peer:
    """A client of the service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = mgmt_pb2_grpc.MgmtSvcStub(channel)

    async def call(self, method: str, request: object) -> object:
        """The reply; or the typed error that the peer's error means."""
        try:
            return await getattr(self._stub, method)(request, metadata=HEADERS, timeout=30)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error


def files_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@asynccontextmanager
async def serving(service: ManagementService) -> AsyncIterator[Peer]:
    server = grpc.aio.server(interceptors=[RequestInterceptor(secure=False)])
    service.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Peer(channel)
    finally:
        await service.close()
        await server.stop(None)


def make(engines: FakeEngines | None = None, **changes: object) -> ManagementService:
    return ManagementService(
        settings(**changes), engines or FakeEngines(), FakeRanks(), SystemClock(), lambda event: None
    )


async def test_a_system_grows_serves_and_is_still_there_after_a_restart(tmp_path: Path) -> None:
    engines = FakeEngines()
    async with serving(make(engines)) as peer:
        with pytest.raises(ControlError, match="system is uninitialized"):
            await peer.call("SystemQuery", system_pb2.SystemQueryReq(sys=SYS))
    first = make(engines)
    async with serving(first) as peer:
        await first.open(tmp_path)
        for n in range(3):
            reply = await peer.call("Join", join_request(n))
            assert isinstance(reply, svc_pb2.JoinResp)
            assert reply.rank == n
        created = await peer.call("PoolCreate", create_request(pool_uuid(1), "tank"))
        assert isinstance(created, pool_pb2.PoolCreateResp)
        assert list(created.tgt_ranks) == [0, 1, 2]
        info = await peer.call("GetAttachInfo", svc_pb2.GetAttachInfoReq(sys=SYS, all_ranks=True))
        again = await peer.call("GetAttachInfo", svc_pb2.GetAttachInfoReq(sys=SYS, all_ranks=True))
        assert isinstance(info, svc_pb2.GetAttachInfoResp)
        assert info == again
        assert first._attach_info.encoded == 1
        assert len(info.rank_uris) == 3
    second = make(engines)
    async with serving(second) as peer:
        await second.open(tmp_path)
        query = await peer.call("SystemQuery", system_pb2.SystemQueryReq(sys=SYS))
        assert isinstance(query, system_pb2.SystemQueryResp)
        assert [(m.rank, m.state) for m in query.members] == [(n, "joined") for n in range(3)]
        pool = await peer.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="tank"))
        assert isinstance(pool, pool_pb2.PoolQueryResp)
        assert pool.uuid == pool_uuid(1)


async def test_two_hundred_joins_over_the_wire_share_commits_on_disk(tmp_path: Path) -> None:
    service = make()
    async with serving(service) as peer:
        await service.open(tmp_path)
        await peer.call("Join", join_request(0))
        before = service.session.writer.commits
        replies = await asyncio.gather(*(peer.call("Join", join_request(n)) for n in range(1, 201)))
        ranks = sorted(reply.rank for reply in replies if isinstance(reply, svc_pb2.JoinResp))
        assert ranks == list(range(1, 201))
        assert service.session.writer.commits - before < 100
        kept = service.db
    reopened = make()
    await reopened.open(tmp_path)
    assert reopened.db.members == kept.members
    assert reopened.db.map_version == kept.map_version
    await reopened.close()


async def test_errors_arrive_with_their_type(tmp_path: Path) -> None:
    service = make()
    async with serving(service) as peer:
        await service.open(tmp_path)
        await peer.call("Join", join_request(0))
        with pytest.raises(Fault) as wrong_system:
            await peer.call("ListPools", pool_pb2.ListPoolsReq(sys="other-2.8.0"))
        assert (wrong_system.value.code, wrong_system.value.domain) == (603, "server")
        with pytest.raises(DaosError) as no_space:
            await peer.call("PoolCreate", create_request(pool_uuid(1), "big", total_bytes=100 * GIB))
        assert no_space.value.status == -1007
        with pytest.raises(Fault) as label:
            await peer.call("PoolCreate", create_request(pool_uuid(1), ""))
        assert label.value.code == 615


async def test_a_server_that_is_no_replica_names_the_replicas_over_the_wire() -> None:
    async with serving(make(address="127.0.0.9:10001")) as peer:
        with pytest.raises(NotReplicaError) as caught:
            await peer.call("LeaderQuery", svc_pb2.LeaderQueryReq(sys=SYS))
        assert caught.value.replicas == ("127.0.0.1:10001",)


async def test_an_erase_removes_the_database_and_a_new_system_begins_at_rank_0(tmp_path: Path) -> None:
    service = make()
    async with serving(service) as peer:
        await service.open(tmp_path)
        for n in range(2):
            await peer.call("Join", join_request(n))
        assert tmp_path / DATABASE_NAME in files_in(tmp_path)
        reply = await peer.call("SystemErase", system_pb2.SystemEraseReq(sys=SYS))
        assert isinstance(reply, system_pb2.SystemEraseResp)
        assert len(reply.results) == 2
        assert files_in(tmp_path) == []
        await service.open(tmp_path)
        assert not service.db.members
        joined = await peer.call("Join", join_request(0))
        assert isinstance(joined, svc_pb2.JoinResp)
        assert joined.rank == 0


async def test_a_call_that_is_cancelled_while_its_pool_is_created_leaves_the_whole_pool(tmp_path: Path) -> None:
    engines = FakeEngines()
    service = make(engines)
    async with serving(service) as peer:
        await service.open(tmp_path)
        await peer.call("Join", join_request(0))
        entered = engines.hold(Method.POOL_CREATE)
        creating = asyncio.ensure_future(peer.call("PoolCreate", create_request(pool_uuid(1), "tank")))
        await entered.wait()
        creating.cancel()
        engines.gates[Method.POOL_CREATE].set()
        retried = await peer.call("PoolCreate", create_request(pool_uuid(1), "tank"))
        assert isinstance(retried, pool_pb2.PoolCreateResp)
        assert list(retried.tgt_ranks) == [0]
        assert len(engines.of(Method.POOL_CREATE)) == 1
