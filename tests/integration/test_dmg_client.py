"""The control API against servers on loopback: steering, retries, slow and dead hosts."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from daos_control.client import pool, retry, storage, system
from daos_control.client.connection import Client
from daos_control.client.errors import ManagementServiceUnreachableError, OperationError, root_cause
from daos_control.client.events import EventForwarder
from daos_control.client.fanout import fan_out
from daos_control.client.ms import invoke, invoke_detailed
from daos_control.client.ranks import RankClient
from daos_control.client.system import SYSTEM_QUERY
from daos_control.faults import (
    Code,
    DaosError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    PoolNotFoundError,
    RemoteError,
    SystemUnavailableError,
    SystemUninitializedError,
    UnimplementedError,
)
from daos_control.faults.core import RAFT_UNAVAILABLE
from daos_control.proto.ctl import ranks_pb2, storage_pb2
from daos_control.proto.mgmt import pool_pb2, svc_pb2, system_pb2
from daos_control.proto.shared import event_pb2
from daos_control.proto.shared import ranks_pb2 as shared_ranks_pb2
from daos_control.server.joining import GrpcJoiner, JoinReply, JoinRequest, Verdict
from daos_control.system import events
from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState
from fake_control import FakeControl, fake_control

pytestmark = pytest.mark.asyncio

WANTS_IN = JoinRequest(
    uuid="u", rank=None, uri="ofi+tcp://1", contexts=1, fault_domain="/a", index=1, incarnation=1
)
REQUEST = system_pb2.SystemQueryReq(sys="daos_server-2.8.0")


@dataclass
class Sleeps:
    """Waits of the client, recorded and not waited."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class NoJitter:
    def randrange(self, stop: int, /) -> int:
        return 0

    def sample(self, population, k):  # type: ignore[no-untyped-def]
        return list(population)[:k]


def client_of(*servers: FakeControl | str, component: str = "admin", sleep: Sleeps | None = None) -> Client:
    hosts = [server if isinstance(server, str) else server.address for server in servers]
    return Client(None, hosts=hosts, component=component, random_source=NoJitter(), sleep=sleep or Sleeps())


@asynccontextmanager
async def servers(*answers: dict) -> AsyncIterator[list[FakeControl]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(fake_control(a)) for a in answers]


def dead_address() -> str:
    """A loopback port where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{reserved.getsockname()[1]}"


async def hang(_request: object) -> storage_pb2.StorageScanResp:
    await asyncio.Event().wait()
    raise AssertionError


def answer(version: int = 1) -> system_pb2.SystemQueryResp:
    return system_pb2.SystemQueryResp(data_version=version)


async def test_every_call_says_who_asks_and_which_version() -> None:
    async with servers({"SystemQuery": answer()}) as (server,), client_of(server) as client:
        await system.query(client)
        ((_, request, metadata),) = server.calls
    assert (metadata["x-daos-component"], metadata["x-daos-version"]) == ("admin", "2.8.0")
    assert request.sys == "daos_server-2.8.0"


async def test_slow_and_dead_hosts_have_a_result_each_by_the_deadline_and_others_are_not_held_up() -> None:
    async with servers({"StorageScan": storage_pb2.StorageScanResp()}, {"StorageScan": hang}, {}) as fakes:
        good, slow, old = fakes
        dead = dead_address()
        arrived: list[str] = []
        async with client_of() as client:
            began = time.monotonic()
            results = await fan_out(
                client,
                [slow.address, good.address, dead, old.address],
                storage.STORAGE_SCAN,
                storage_pb2.StorageScanReq(),
                timeout=1.0,
                report=lambda result: arrived.append(result.address),
            )
    assert time.monotonic() - began < 5
    assert [r.address for r in results] == [slow.address, good.address, dead, old.address]
    assert isinstance(results[0].error, Fault)
    assert results[0].error.code == Code.CLIENT_RPC_TIMEOUT
    assert results[1].error is None
    assert isinstance(results[2].error, Fault)
    assert results[2].error.code == Code.CLIENT_CONNECTION_REFUSED
    assert isinstance(results[3].error, UnimplementedError)
    assert sorted(arrived) == sorted(r.address for r in results)
    assert arrived[-1] == slow.address


async def test_hosts_that_never_got_their_turn_have_a_result_too() -> None:
    async with servers({"StorageScan": hang}, {"StorageScan": hang}) as fakes, client_of() as client:
        results = await fan_out(
            client,
            [fake.address for fake in fakes],
            storage.STORAGE_SCAN,
            storage_pb2.StorageScanReq(),
            timeout=0.3,
            limit=1,
        )
    assert [r.error.code for r in results if isinstance(r.error, Fault)] == [Code.CLIENT_RPC_TIMEOUT] * 2


async def test_request_follows_non_replica_and_follower_to_the_leader() -> None:
    async with servers({"SystemQuery": answer()}, {}, {}) as (leader, follower, other):
        follower.answers["SystemQuery"] = NotLeaderError(leader.address, (leader.address,))
        other.answers["SystemQuery"] = NotReplicaError((follower.address,))
        async with client_of(other) as client:
            reply = await invoke_detailed(client, SYSTEM_QUERY, REQUEST)
        assert reply.retries == 2
        assert [len(fake.calls) for fake in (other, follower, leader)] == [1, 1, 1]


async def test_election_is_waited_for_with_growing_pauses() -> None:
    async with servers({}) as (server,):
        failures = [NotLeaderError("", ()), SystemUnavailableError(RAFT_UNAVAILABLE), NotLeaderError("", ())]

        def answers(_request: object) -> system_pb2.SystemQueryResp:
            if failures:
                raise failures.pop()
            return answer()

        server.answers["SystemQuery"] = answers
        sleeps = Sleeps()
        async with client_of(server, sleep=sleeps) as client:
            reply = await invoke_detailed(client, SYSTEM_QUERY, REQUEST)
    assert (reply.retries, sleeps.seconds) == (3, [0, 0.25, 0.25])


async def test_newest_answer_of_several_replicas_counts() -> None:
    answers = [{"SystemQuery": answer(version)} for version in (5, 7, 6)]
    async with servers(*answers) as fakes, client_of(*fakes) as client:
        assert (await invoke(client, SYSTEM_QUERY, REQUEST)).data_version == 7


async def test_replica_that_hangs_does_not_hold_up_the_answer_of_another() -> None:
    async with servers({"SystemQuery": answer(5)}, {"SystemQuery": hang}) as fakes, client_of(*fakes) as client:
        began = time.monotonic()
        assert (await invoke(client, SYSTEM_QUERY, REQUEST)).data_version == 5
        assert time.monotonic() - began < 4


async def test_refusal_by_the_leader_counts_more_than_followers_that_point_to_it() -> None:
    async with servers({"PoolEvict": DaosError(-1012)}, {}) as (leader, follower):
        follower.answers["PoolEvict"] = NotLeaderError(leader.address, ())
        async with client_of(follower, leader) as client:
            with pytest.raises(OperationError) as caught:
                await pool.evict(client, "tank")
        assert isinstance(root_cause(caught.value), DaosError)
        assert len(leader.calls) == 1


async def test_nobody_to_connect_to_is_said_with_the_reason() -> None:
    async with client_of(dead_address()) as client:
        with pytest.raises(ManagementServiceUnreachableError) as caught:
            await system.query(client)
    assert isinstance(caught.value.cause, Fault)
    assert caught.value.cause.code == Code.CLIENT_CONNECTION_REFUSED


async def test_text_of_a_server_is_passed_on_as_daos_prints_it() -> None:
    async with servers({"SystemQuery": SystemUninitializedError()}) as (server,), client_of(server) as client:
        with pytest.raises(RemoteError) as caught:
            await system.query(client)
    assert str(caught.value) == (
        "rpc error: code = Unknown desc = system is uninitialized (storage format required?)"
    )


async def test_deadline_ends_the_retries_and_the_answer_until_then_is_told() -> None:
    unavailable = {"SystemQuery": SystemUnavailableError(RAFT_UNAVAILABLE)}
    told: list[Exception] = []
    async with (
        servers(unavailable) as (server,),
        Client(None, hosts=[server.address], notice_retry=told.append, random_source=NoJitter()) as client,
    ):
        with pytest.raises(Fault) as caught:
            await invoke(client, SYSTEM_QUERY, REQUEST, timeout=0.2)
    assert caught.value.code == Code.CLIENT_RPC_TIMEOUT
    assert RAFT_UNAVAILABLE in caught.value.description
    assert told
    assert {RAFT_UNAVAILABLE in str(error) for error in told} == {True}


async def test_retried_destroy_that_finds_no_pool_has_done_its_work() -> None:
    async with servers({}) as (server,):
        failures = [PoolNotFoundError(label="tank"), DaosError(-1013)]

        def answers(_request: object) -> pool_pb2.PoolDestroyResp:
            raise failures.pop()

        server.answers["PoolDestroy"] = answers
        async with client_of(server) as client:
            await pool.destroy(client, "tank")
    assert not failures


async def test_destroy_of_an_unknown_pool_fails_also_after_it_was_sent_to_the_leader() -> None:
    async with servers({"PoolDestroy": PoolNotFoundError(label="tank")}, {}) as (leader, follower):
        follower.answers["PoolDestroy"] = NotLeaderError(leader.address, ())
        async with client_of(follower) as client:
            with pytest.raises(OperationError, match="pool destroy failed"):
                await pool.destroy(client, "tank")


async def test_format_is_refused_while_a_replica_answers() -> None:
    async with servers({"SystemQuery": answer(), "StorageFormat": storage_pb2.StorageFormatResp()}) as (server,):
        async with client_of(server) as client:
            with pytest.raises(Fault) as caught:
                await storage.format(client)
        assert caught.value.code == Code.CLIENT_FORMAT_RUNNING_SYSTEM
        assert "StorageFormat" not in server.names()


@pytest.mark.parametrize("hosts", [None, "given"])
async def test_format_goes_ahead_where_no_system_runs(hosts: str | None) -> None:
    answers = {"SystemQuery": SystemUninitializedError(), "StorageFormat": storage_pb2.StorageFormatResp()}
    async with servers(answers) as (server,), client_of(server) as client:
        response = await storage.format(client, [server.address] if hosts else None, force=True)
        assert response.failure is None
        assert server.calls[-1][1].reformat


async def test_erase_is_refused_while_a_rank_runs() -> None:
    running = system_pb2.SystemQueryResp(members=[system_pb2.SystemMember(rank=3, state="ready")])
    async with servers({"SystemQuery": running, "SystemErase": system_pb2.SystemEraseResp()}) as (server,):
        async with client_of(server) as client:
            with pytest.raises(Exception, match="requires the following 1 rank to be stopped: 3"):
                await system.erase(client)
        assert server.names() == ["SystemQuery"]


async def test_leader_query_names_the_replicas_that_are_down() -> None:
    dead = dead_address()
    async with servers({}) as (server,):
        server.answers["LeaderQuery"] = svc_pb2.LeaderQueryResp(
            current_leader=server.address, replicas=[server.address, dead]
        )
        async with client_of(server) as client:
            assert (await system.leader_query(client)).down_replicas == (dead,)


async def test_ranks_that_a_server_is_silent_about_are_unresponsive() -> None:
    reply = ranks_pb2.RanksResp(results=[shared_ranks_pb2.RankResult(rank=0, state="stopped")])
    async with servers({"StopRanks": reply}) as (server,), client_of(component="server") as client:
        ranks = RankClient(client)
        results = await ranks.stop(server.address, RankSet([0, 1]), force=True, timeout=5)
        ((_, request, metadata),) = server.calls
    assert [(r.rank, r.state, r.action, r.errored) for r in results] == [
        (0, MemberState.STOPPED, "stop", False),
        (1, MemberState.UNRESPONSIVE, "stop", True),
    ]
    assert (request.ranks, request.force, metadata["x-daos-component"]) == ("0-1", True, "server")


async def test_server_that_is_gone_fails_as_a_whole_for_its_ranks() -> None:
    async with client_of(component="server") as client:
        with pytest.raises(Fault) as caught:
            await RankClient(client).prep_shutdown(dead_address(), RankSet([0]), timeout=5)
    assert caught.value.code == Code.CLIENT_CONNECTION_REFUSED


async def test_join_waits_for_a_system_that_is_not_ready_and_replicas_that_are_not_up() -> None:
    dead = dead_address()
    async with servers({}) as (server,):
        failures = [SystemUnavailableError(RAFT_UNAVAILABLE), SystemUninitializedError()]

        def answers(_request: object) -> svc_pb2.JoinResp:
            if failures:
                raise failures.pop()
            return svc_pb2.JoinResp(rank=2, map_version=9)

        server.answers["Join"] = answers
        async with client_of(dead, server.address, component="server") as client:
            joined = await GrpcJoiner(client, address="127.0.0.1:1").join(WANTS_IN)
        assert joined == JoinReply(2, Verdict.IN, 9)
        assert server.calls[-1][1].addr == "127.0.0.1:1"


async def test_join_that_is_refused_is_not_tried_again() -> None:
    refusal = Fault("system", Code.SYSTEM_BAD_FAULT_DOMAIN_DEPTH, "d", "r")
    async with servers({"Join": refusal}) as (server,), client_of(server.address, component="server") as client:
        with pytest.raises(Fault) as caught:
            await GrpcJoiner(client, address="127.0.0.1:1").join(WANTS_IN)
        assert caught.value == refusal
        assert len(server.calls) == 1


async def test_events_are_numbered_and_find_the_leader() -> None:
    async with servers({"ClusterEvent": event_pb2.ClusterEventResp()}, {}) as (leader, follower):
        follower.answers["ClusterEvent"] = NotLeaderError(leader.address, ())
        async with client_of(component="server") as client:
            forwarder = EventForwarder(client, [follower.address])
            for _ in range(2):
                await forwarder.forward(events.engine_format_required("h", 0, "SCM", now=datetime.now(UTC)))
        assert [call[1].sequence for call in leader.calls] == [1, 2]
        assert leader.calls[0][1].event.hostname == "h"


async def test_pools_of_a_list_that_cannot_be_queried_are_told_apart() -> None:
    listed = pool_pb2.ListPoolsResp(
        pools=[
            pool_pb2.ListPoolsResp.Pool(uuid="u2", label="b", state="Ready"),
            pool_pb2.ListPoolsResp.Pool(uuid="u1", label="a", state="Ready"),
            pool_pb2.ListPoolsResp.Pool(uuid="u3", label="c", state="Creating"),
        ]
    )

    def queried(request: pool_pb2.PoolQueryReq) -> pool_pb2.PoolQueryResp:
        if request.id == "u2":
            raise DaosError(-1005)
        return pool_pb2.PoolQueryResp(uuid=request.id, total_targets=4)

    async with servers({"ListPools": listed, "PoolQuery": queried}) as (server,), client_of(server) as client:
        found = await pool.list_pools(client)
    assert [(p.label, p.total_targets) for p in found.pools] == [("a", 4), ("b", 0), ("c", 0)]
    assert list(found.query_errors) == ["u2"]
    assert found.warnings.startswith('Query on pool "b" unsuccessful, error: "DER_NONEXIST')


async def test_query_that_is_not_to_wait_fails_at_once() -> None:
    async with client_of(dead_address()) as client:
        with pytest.raises(SystemUnavailableError):
            await system.query(client, policy=retry.QUERY_OR_FAIL)
