"""RAS events: what they change, once, and only for the run of the engine that they are about."""

import asyncio
import logging

import pytest

from daos_control.drpc import Method
from daos_control.faults import ControlError, Fault, SystemUninitializedError
from daos_control.messages import events as event_messages
from daos_control.ms.event_handlers import Debounce
from daos_control.proto.mgmt import pool_pb2, system_pb2
from daos_control.proto.shared import event_pb2
from daos_control.system import events
from daos_control.system.events import PoolReplicas, RasEvent, RasId, RasType, Severity
from daos_control.system.pool import PoolState
from daos_control.system.state import MemberState
from fakes_ms import SYS, FakeClock, World, pool_uuid

UUID = pool_uuid(1)
NOW = FakeClock().now()


def died(rank: int, incarnation: int) -> RasEvent:
    return events.engine_died("vm", 0, rank, incarnation, "signal: killed", 4711, now=NOW)


def dead(rank: int, incarnation: int, hostname: str = "vm") -> RasEvent:
    return RasEvent(
        RasId.SWIM_RANK_DEAD, RasType.STATE_CHANGE, Severity.NOTICE, "SWIM rank marked as dead.", "", hostname,
        rank=rank, incarnation=incarnation,
    )  # fmt: skip


def replicas(*ranks: int, term: int = 1) -> RasEvent:
    return RasEvent(
        RasId.POOL_REPLICAS_UPDATED, RasType.STATE_CHANGE, Severity.NOTICE, "updated", "", "vm", pool_uuid=UUID,
        detail=PoolReplicas(ranks, term),
    )  # fmt: skip


def state(world: World, rank: int) -> MemberState:
    return world.db.members_by_rank()[rank].state


@pytest.mark.asyncio
async def test_a_died_engine_is_errored_with_the_reason_unless_a_newer_run_has_joined() -> None:
    async with World() as world:
        await world.join(0, incarnation=200)
        await world.service.handle_event(died(0, 100))
        assert state(world, 0) is MemberState.JOINED
        await world.service.handle_event(died(0, 200))
        assert state(world, 0) is MemberState.ERRORED
        assert "signal: killed" in world.db.members_by_rank()[0].info
        await world.join(0, incarnation=300)
        assert state(world, 0) is MemberState.JOINED


@pytest.mark.asyncio
async def test_a_dead_rank_is_excluded_once_however_many_report_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="daos_control.ms")
    async with World() as world:
        await asyncio.gather(*(world.join(n) for n in range(4)))
        commits = len(world.store.batches)
        for n in range(50):
            await world.service.handle_event(dead(2, 100, f"host{n}"), forwarded=True)
        assert state(world, 2) is MemberState.EXCLUDED
        assert len(world.store.batches) == commits + 1
    assert len([r for r in caplog.records if r.message.startswith("rank 2, incarnation 100")]) == 1


@pytest.mark.asyncio
async def test_a_report_about_an_earlier_run_excludes_nobody() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1, incarnation=500)
        await world.service.handle_event(dead(1, 499))
        assert state(world, 1) is MemberState.JOINED
        await world.service.handle_event(dead(1, 500))
        assert state(world, 1) is MemberState.EXCLUDED
        await world.join(1, incarnation=501)
        assert state(world, 1) is MemberState.JOINED


@pytest.mark.asyncio
async def test_without_the_policy_a_dead_rank_stays_until_the_policy_is_back_and_it_is_reported_again() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1)
        for policy, expected in (("pool_exclude", MemberState.JOINED), ("exclude", MemberState.EXCLUDED)):
            await world.call(
                "SystemSetProp", system_pb2.SystemSetPropReq(sys=SYS, properties={"self_heal": policy})
            )
            await world.service.handle_event(dead(1, 100))
            assert state(world, 1) is expected


@pytest.mark.asyncio
async def test_a_report_that_could_not_be_recorded_counts_when_it_comes_again() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1)
        world.store.errors = [OSError(28, "full")]
        with pytest.raises(Fault):
            await world.service.handle_event(dead(1, 100))
        await world.service.handle_event(dead(1, 100))
        assert state(world, 1) is MemberState.EXCLUDED


@pytest.mark.asyncio
async def test_an_excluded_rank_leaves_the_map_that_is_pushed() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1)
        await world.service.handle_event(dead(1, 100))
        async with asyncio.timeout(5):
            while not world.engines.maps or len(world.engines.maps[-1].engines) != 1:
                world.engines.updated.clear()
                await world.engines.updated.wait()


@pytest.mark.asyncio
async def test_new_service_replicas_are_recorded_when_the_create_that_they_come_from_has_ended() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1)
        entered = world.engines.hold(Method.POOL_CREATE)
        creating = asyncio.ensure_future(world.create(UUID, "tank"))
        await entered.wait()
        await world.service.handle_event(replicas(0, 1))
        assert world.db.pools[UUID].replicas == ()
        world.engines.gates[Method.POOL_CREATE].set()
        await creating
        await world.until(lambda db: db.pools[UUID].replicas == (0, 1))
        assert world.db.pools[UUID].state is PoolState.READY


@pytest.mark.asyncio
async def test_of_many_reports_about_a_pool_that_is_busy_the_last_is_recorded() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        entered = world.engines.hold(Method.POOL_SET_PROP)
        setting = asyncio.ensure_future(
            world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id="tank", properties=[{"number": 5}]))
        )
        await entered.wait()
        for term in range(1, 200):
            await world.service.handle_event(replicas(term, term=term))
        world.engines.gates[Method.POOL_SET_PROP].set()
        await setting
        await world.until(lambda db: db.pools[UUID].replicas == (199,))
        await world.service.handle_event(replicas(0, term=200))
        await world.until(lambda db: db.pools[UUID].replicas == (0,))


@pytest.mark.asyncio
async def test_a_cluster_event_is_acted_upon_and_its_sequence_echoed() -> None:
    async with World() as world:
        await world.join(0)
        message = event_messages.to_proto(died(0, 100))
        reply = await world.call("ClusterEvent", event_pb2.ClusterEventReq(sequence=7, event=message))
        assert (reply.sequence, reply.status) == (7, 0)
        assert state(world, 0) is MemberState.ERRORED
        with pytest.raises(ControlError, match="nil event"):
            await world.call("ClusterEvent", event_pb2.ClusterEventReq(sequence=8))


@pytest.mark.asyncio
async def test_events_about_nothing_known_change_nothing() -> None:
    async with World() as world:
        await world.join(0)
        version = world.db.version
        unknown = RasEvent(4242, RasType.INFO, Severity.NOTICE, "?", "")
        for event in (died(9, 1), dead(9, 1), replicas(0), unknown):
            await world.service.handle_event(event)
        assert world.db.version == version


@pytest.mark.asyncio
async def test_an_event_before_there_is_a_system_is_refused() -> None:
    with pytest.raises(SystemUninitializedError):
        await World().service.handle_event(died(0, 1))


def test_an_event_is_forgotten_when_it_was_not_seen_for_long_enough() -> None:
    clock, debounce = FakeClock(), Debounce(memory_s=10, limit=100)
    assert not debounce.is_repeated((1, 1), clock.now())
    for _ in range(5):
        clock.advance(9)
        assert debounce.is_repeated((1, 1), clock.now())
    clock.advance(11)
    assert not debounce.is_repeated((1, 1), clock.now())


def test_the_memory_of_events_is_bounded() -> None:
    clock, debounce = FakeClock(), Debounce(memory_s=10, limit=3)
    for rank in range(4):
        assert not debounce.is_repeated((rank, 1), clock.now())
    assert not debounce.is_repeated((0, 1), clock.now())
    assert debounce.is_repeated((3, 1), clock.now())
