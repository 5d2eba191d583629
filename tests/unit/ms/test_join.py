"""Join through the service: ranks, refusals, storms."""

import asyncio
import logging
from pathlib import Path

import pytest

from daos_control.faults import ControlError, Fault, SystemUnavailableError, SystemUninitializedError
from daos_control.ms.settings import Limits
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.events import RasId
from daos_control.system.member import NIL_RANK
from daos_control.system.state import MemberState
from fakes_ms import FakeContext, World, create_request, join_request, pool_uuid

pytestmark = pytest.mark.asyncio


async def test_a_join_answers_the_rank_the_state_and_the_map_version_that_has_it() -> None:
    async with World() as world:
        reply = await world.join(0)
        assert (reply.rank, reply.state, reply.localJoin) == (0, svc_pb2.JoinResp.IN, False)
        assert reply.map_version == world.db.map_version == 1
        assert world.db.members_by_rank()[0].state is MemberState.JOINED
        assert (await world.join(1)).rank == 1


async def test_two_thousand_joins_at_once_cost_a_handful_of_commits() -> None:
    async with World() as world:
        await world.join(0)
        before = len(world.store.batches)
        replies = await asyncio.gather(*(world.join(n) for n in range(1, 2001)))
        commits = len(world.store.batches) - before
        assert commits <= 5
        assert sorted(reply.rank for reply in replies) == list(range(1, 2001))
        assert len(world.store.kept.members) == 2001
        world.db.check_invariants()


async def test_a_join_that_is_asked_for_twice_keeps_its_rank() -> None:
    async with World() as world:
        await world.join(0)
        first, second = await asyncio.gather(world.join(7), world.join(7))
        assert first.rank == second.rank == 1
        assert second.map_version > first.map_version


async def test_the_peer_s_own_address_stands_in_for_0_0_0_0() -> None:
    async with World() as world:
        await world.call("Join", join_request(0, addr="0.0.0.0:10002"), FakeContext("ipv4:10.1.2.3:55555"))
        assert world.db.members_by_rank()[0].address == "10.1.2.3:10002"
        with pytest.raises(ControlError, match="not tcp"):
            await world.call("Join", join_request(1, addr="0.0.0.0:10002"), FakeContext("unix:/tmp/x"))


@pytest.mark.parametrize("address", ["", "nohost", "host:", ":10001", "127.0.0.1:99999", "127.0.0.1:x"])
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    async with World() as world:
        with pytest.raises(ControlError):
            await world.join(0, addr=address)
        assert not world.db.members


async def test_a_refusal_that_needs_attention_comes_with_an_event_and_any_other_without() -> None:
    async with World() as world:
        await world.join(0)
        with pytest.raises(ControlError, match="uuid changed"):
            await world.join(5, rank=0)
        assert [event.id for event in world.events] == [RasId.ENGINE_JOIN_FAILED]
        with pytest.raises(Fault, match="fault domain"):
            await world.join(5, srvFaultDomain="/rack/host5")
        assert len(world.events) == 1


async def test_another_system_s_engine_is_refused_with_fault_603_whatever_its_version() -> None:
    async with World() as world:
        for sys in ("other", "other-2.8.0", "daos_server-x-2.8.0", ""):
            with pytest.raises(Fault) as caught:
                await world.join(0, sys=sys)
            assert caught.value.code == 603
        await world.join(0, sys="daos_server")
        await world.join(0, sys="daos_server-2.6.3")


async def test_joins_that_wait_are_answered_when_the_service_closes() -> None:
    world = World()
    await world.service.open(Path("/nowhere"))
    world.store.gate.clear()
    joins = [asyncio.ensure_future(world.join(n)) for n in range(3)]
    await world.store.committing.wait()
    closing = asyncio.ensure_future(world.service.close())
    world.store.gate.set()
    await closing
    assert {(await join).rank for join in joins} == {0, 1, 2}
    with pytest.raises(SystemUninitializedError):
        await world.join(4)


async def test_a_replace_takes_the_rank_over_unless_a_pool_still_uses_it() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1)
        await world.create(pool_uuid(1), "tank")
        new = {"uuid": "99999999-0000-4000-8000-000000000001", "rank": NIL_RANK, "replace": True}
        with pytest.raises(Fault) as caught:
            await world.join(1, **new)
        assert caught.value.code == 621
        assert pool_uuid(1) in str(caught.value)
        world.engines.pools[pool_uuid(1)].request.CopyFrom(
            create_request(pool_uuid(1), "tank", ranks=[0], tier_bytes=[1, 0])
        )
        assert (await world.join(1, **new)).rank == 1
        assert world.db.ranks[1] == new["uuid"]


async def test_the_writer_being_full_is_an_error_that_the_joining_server_retries() -> None:
    async with World(limits=Limits(queue=2)) as world:
        world.store.gate.clear()
        joins = [asyncio.ensure_future(world.join(n)) for n in range(6)]
        await world.store.committing.wait()
        world.store.gate.set()
        results = await asyncio.gather(*joins, return_exceptions=True)
        refused = [r for r in results if isinstance(r, SystemUnavailableError)]
        assert refused
        assert len(refused) + len(world.db.members) == 6


async def test_each_join_leaves_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="daos_control.ms"):
        async with World() as world:
            await world.join(0)
    assert len([r for r in caplog.records if "rank 0 joined" in r.message]) == 1
