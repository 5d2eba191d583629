"""Pools: what the engine is sent, what is recorded, and what becomes of a pool when something breaks."""

import asyncio
from typing import Any

import pytest
from google.protobuf import text_format

from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.faults import ControlError, DaosError, Fault, PoolNotFoundError, Status, SystemUnavailableError
from daos_control.faults.server import data_plane_not_started
from daos_control.ms.edges import EngineNotReadyError
from daos_control.proto.mgmt import pool_pb2, system_pb2
from daos_control.system.pool import PoolState
from fakes_ms import GIB, SYS, World, pool_uuid

pytestmark = pytest.mark.asyncio

UUID = "adaf89fb-ca27-4b6a-8c62-fda1fdbb669f"
OTHER = "bbbbbbbb-0000-4000-8000-000000000002"


def prop(number: int, value: int | str) -> pool_pb2.PoolProperty:
    if isinstance(value, str):
        return pool_pb2.PoolProperty(number=number, strval=value)
    return pool_pb2.PoolProperty(number=number, numval=value)


async def settled(world: World) -> None:
    """Wait until the background clean-up has nothing left to do."""
    await world.until(lambda db: all(pool.state is not PoolState.DESTROYING for pool in db.pools.values()))


async def destroy(world: World, pool_id: str = "tank", **changes: Any) -> Any:
    return await world.call("PoolDestroy", pool_pb2.PoolDestroyReq(sys=SYS, id=pool_id, **changes))


# What DAOS's own engine is sent, field for field (observed with DAOS's server).
OBSERVED_CREATE = """
    uuid: "adaf89fb-ca27-4b6a-8c62-fda1fdbb669f" sys: "daos_server-2.8.0" user: "root@" user_group: "root@"
    properties { number: 1 strval: "p1" } properties { number: 16 numval: 0 } properties { number: 18 numval: 0 }
    fault_domains: 0 fault_domains: 2 fault_domains: 1 fault_domains: 1 fault_domains: 1 fault_domains: 2
    fault_domains: 1 fault_domains: 0 ranks: 0 tier_bytes: 1073741824 tier_bytes: 0
"""
OBSERVED: dict[Method, str] = {
    Method.POOL_QUERY: f'sys: "{SYS}" id: "{UUID}" svc_ranks: 0 query_mask: 18446744073709551595',
    Method.POOL_GET_PROP: f'sys: "{SYS}" id: "{UUID}" properties {{ number: 4 }} svc_ranks: 0',
    Method.POOL_SET_PROP: f'sys: "{SYS}" id: "{UUID}" properties {{ number: 5 numval: 0 }} svc_ranks: 0',
    Method.LIST_CONTAINERS: f'sys: "{SYS}" id: "{UUID}" svc_ranks: 0',
    Method.POOL_EVICT: f'sys: "{SYS}" id: "{UUID}" svc_ranks: 0 destroy: true',
    Method.POOL_DESTROY: f'sys: "{SYS}" id: "{UUID}" svc_ranks: 0 recursive: true',
}


async def test_the_engine_is_sent_what_daos_s_own_server_sends() -> None:
    async with World() as world:
        await world.join(0, srvFaultDomain="/vm")
        await world.create(UUID, "p1")
        (created,) = world.engines.of(Method.POOL_CREATE)
        assert created == text_format.Parse(OBSERVED_CREATE, pool_pb2.PoolCreateReq())
        await world.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="p1", query_mask=18446744073709551595))
        number = pool_pb2.PoolProperty(number=4)
        await world.call("PoolGetProp", pool_pb2.PoolGetPropReq(sys=SYS, id="p1", properties=[number]))
        await world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id="p1", properties=[prop(5, 0)]))
        await world.call("ListContainers", pool_pb2.ListContReq(sys=SYS, id="p1"))
        await destroy(world, "p1", recursive=True)
        for method, text in OBSERVED.items():
            assert method.request is not None
            assert world.engines.of(method)[-1] == text_format.Parse(text, method.request())


async def test_a_created_pool_is_recorded_ready_and_answered_in_full() -> None:
    async with World() as world:
        await world.join(0)
        reply = await world.create(UUID, "tank")
        assert (reply.status, reply.svc_ldr, list(reply.svc_reps), list(reply.tgt_ranks)) == (0, 0, [0], [0])
        assert list(reply.tier_bytes) == [GIB, 0]
        pool = world.store.kept.pools[UUID]
        assert (pool.label, pool.state, pool.replicas, pool.creation_ranks, pool.tier_bytes) == (
            "tank", PoolState.READY, (0,), (0,), (GIB, 0),
        )  # fmt: skip
        listed = await world.call("ListPools", pool_pb2.ListPoolsReq(sys=SYS))
        assert [(p.uuid, p.label, p.state, list(p.svc_reps)) for p in listed.pools] == [
            (UUID, "tank", "Ready", [0])
        ]
        assert listed.data_version == world.db.version


async def test_the_record_says_creating_before_the_engine_hears_of_the_pool() -> None:
    async with World() as world:
        await world.join(0)
        entered = world.engines.hold(Method.POOL_CREATE)
        creating = asyncio.ensure_future(world.create(UUID, "tank"))
        await entered.wait()
        assert world.store.kept.pools[UUID].state is PoolState.CREATING
        with pytest.raises(DaosError) as caught:
            await world.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="tank"))
        assert caught.value.status == Status.AGAIN
        world.engines.gates[Method.POOL_CREATE].set()
        await creating


async def test_system_scrub_properties_are_added_unless_the_request_has_its_own() -> None:
    async with World() as world:
        await world.join(0)
        await world.call(
            "SystemSetProp", system_pb2.SystemSetPropReq(sys=SYS, properties={"pool_scrub_mode": "timed"})
        )
        await world.create(UUID, "tank")
        await world.create(OTHER, "other", properties=[prop(1, "other"), prop(16, 1)])
        first, second = world.engines.of(Method.POOL_CREATE)
        assert [(p.number, p.numval) for p in first.properties[1:]] == [(16, 2), (18, 0)]
        assert [(p.number, p.numval) for p in second.properties[1:]] == [(16, 1), (18, 0)]


async def test_a_create_asked_for_again_answers_the_pool_that_is_there() -> None:
    async with World() as world:
        await world.join(0)
        first = await world.create(UUID, "tank")
        second = await world.create(UUID, "tank")
        assert second == first
        assert len(world.engines.of(Method.POOL_CREATE)) == 1


async def test_a_create_retried_while_the_first_still_runs_waits_for_it_and_creates_nothing() -> None:
    async with World() as world:
        await world.join(0)
        entered = world.engines.hold(Method.POOL_CREATE)
        first = asyncio.ensure_future(world.create(UUID, "tank"))
        await entered.wait()
        first.cancel()
        second = asyncio.ensure_future(world.create(UUID, "tank"))
        await asyncio.sleep(0)
        assert not second.done()
        world.engines.gates[Method.POOL_CREATE].set()
        assert (await second).status == 0
        assert len(world.engines.of(Method.POOL_CREATE)) == 1


async def test_a_caller_that_leaves_while_it_waits_its_turn_creates_nothing() -> None:
    async with World() as world:
        await world.join(0)
        entered = world.engines.hold(Method.POOL_CREATE)
        first = asyncio.ensure_future(world.create(UUID, "tank"))
        await entered.wait()
        second = asyncio.ensure_future(world.create(OTHER, "other"))
        await asyncio.sleep(0)
        second.cancel()
        world.engines.gates[Method.POOL_CREATE].set()
        await first
        assert set(world.db.pools) == {UUID}


async def test_creates_go_one_at_a_time() -> None:
    async with World() as world:
        await world.join(0)
        entered = world.engines.hold(Method.POOL_CREATE)
        creates = [asyncio.ensure_future(world.create(pool_uuid(n), f"p{n}")) for n in range(4)]
        await entered.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(world.engines.of(Method.POOL_CREATE)) == 1
        world.engines.gates[Method.POOL_CREATE].set()
        await asyncio.gather(*creates)
        assert len(world.engines.pools) == 4


@pytest.mark.parametrize("status", [Status.NOSPACE, Status.INVAL, Status.PROTO])
async def test_an_engine_that_says_no_leaves_no_record_and_its_status_is_the_reply_s(status: Status) -> None:
    async with World() as world:
        await world.join(0)
        world.engines.statuses[Method.POOL_CREATE] = status
        assert (await world.create(UUID, "tank")).status == status
        assert not world.store.kept.pools
        del world.engines.statuses[Method.POOL_CREATE]
        assert (await world.create(UUID, "tank")).status == 0


async def test_a_full_disk_answers_1007_and_the_next_smaller_pool_is_created() -> None:
    async with World() as world:
        await world.join(0)
        assert (await world.create(UUID, "big", total_bytes=17 * GIB)).status == -1007
        assert (await world.create(OTHER, "small")).status == 0


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [(EngineNotReadyError("engine 0"), Status.AGAIN), (data_plane_not_started(), 611)],
    ids=["not set up", "not running"],
)
async def test_a_create_that_never_reached_an_engine_leaves_nothing(refusal: Exception, expected: int) -> None:
    async with World() as world:
        await world.join(0)
        world.engines.refusals[Method.POOL_CREATE] = refusal
        with pytest.raises((DaosError, Fault)) as caught:
            await world.create(UUID, "tank")
        assert expected in (getattr(caught.value, "status", None), getattr(caught.value, "code", None))
        assert not world.store.kept.pools
        assert not world.engines.of(Method.POOL_DESTROY)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), Status.TIMEDOUT),
        (ConnectionResetError(104, "Connection reset by peer"), 611),
        (FramingError("closed"), 611),
        (DrpcStatusError(2), 600),
    ],
    ids=["timeout", "reset", "cut", "refused"],
)
async def test_a_create_in_doubt_frees_its_label_at_once_and_its_space_in_the_background(
    error: Exception, expected: int
) -> None:
    async with World() as world:
        await world.join(0)
        world.engines.errors[Method.POOL_CREATE] = error
        world.engines.statuses[Method.POOL_DESTROY] = Status.UNREACH
        with pytest.raises((DaosError, Fault)) as caught:
            await world.create(UUID, "tank")
        assert expected in (getattr(caught.value, "status", None), getattr(caught.value, "code", None))
        assert UUID in world.engines.pools
        assert world.store.kept.pools[UUID].state is PoolState.DESTROYING
        assert (await world.create(OTHER, "tank")).status == 0
        del world.engines.statuses[Method.POOL_DESTROY]
        await settled(world)
        assert set(world.engines.pools) == set(world.db.pools) == {OTHER}


async def crashed_in_the_middle_of_a_create() -> World:
    """What comes after a crash while the engine was creating the pool UUID, which it has then."""
    async with World() as world:
        await world.join(0)
        world.engines.hold(Method.POOL_CREATE)
        creating = asyncio.ensure_future(world.create(UUID, "tank"))
        await world.engines.entered[Method.POOL_CREATE].wait()
        kept = world.store.kept
        world.engines.gates[Method.POOL_CREATE].set()
        await creating
    assert kept.pools[UUID].state is PoolState.CREATING
    after_crash = World()
    after_crash.store.kept = kept
    after_crash.engines.pools = world.engines.pools
    return after_crash


async def test_a_create_that_a_crash_broke_off_is_cleaned_up_without_being_asked_for_again() -> None:
    world = await crashed_in_the_middle_of_a_create()
    async with world:
        await settled(world)
        assert not world.db.pools
        assert not world.engines.pools


async def test_the_label_of_a_create_that_a_crash_broke_off_is_free_before_any_engine_is_back() -> None:
    world = await crashed_in_the_middle_of_a_create()
    world.engines.statuses[Method.POOL_DESTROY] = Status.UNREACH
    async with world:
        await world.until(lambda db: db.pools[UUID].state is PoolState.DESTROYING)
        assert (await world.create(OTHER, "tank")).status == 0
        del world.engines.statuses[Method.POOL_DESTROY]
        await settled(world)
        assert set(world.db.pools) == set(world.engines.pools) == {OTHER}


async def test_a_create_that_a_crash_broke_off_can_be_asked_for_again_with_its_uuid() -> None:
    world = await crashed_in_the_middle_of_a_create()
    world.engines.statuses[Method.POOL_DESTROY] = Status.UNREACH
    async with world:
        with pytest.raises(DaosError) as caught:
            await world.create(UUID, "tank")
        assert caught.value.status == Status.AGAIN
        del world.engines.statuses[Method.POOL_DESTROY]
        await settled(world)
        assert (await world.create(UUID, "tank")).status == 0


async def test_a_create_under_way_is_not_taken_for_one_that_was_broken_off() -> None:
    async with World() as world:
        await world.join(0)
        entered = world.engines.hold(Method.POOL_CREATE)
        creating = asyncio.ensure_future(world.create(UUID, "tank"))
        await entered.wait()
        world.service.engine_ready()  # wakes the cleaner
        for _ in range(20):
            await asyncio.sleep(0)
        world.engines.gates[Method.POOL_CREATE].set()
        assert (await creating).status == 0
        assert world.db.pools[UUID].state is PoolState.READY


async def test_half_destroyed_pools_are_destroyed_when_the_service_opens() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        world.engines.statuses[Method.POOL_DESTROY] = Status.UNREACH
        assert (await destroy(world)).status == Status.UNREACH
        kept = world.store.kept
        assert kept.pools[UUID].state is PoolState.DESTROYING
    again = World()
    again.store.kept, again.engines.pools = kept, world.engines.pools
    async with again:
        await settled(again)
        assert not again.db.pools
        assert not again.engines.pools
        (request,) = again.engines.of(Method.POOL_DESTROY)
        assert (request.force, request.recursive, list(request.svc_ranks)) == (True, True, [0])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"properties": []}, 615),
        ({"ranks": [0, 9]}, 606),
        ({"num_ranks": 3}, 607),
        ({"num_svc_reps": 3}, 608),
        ({"total_bytes": 1 << 20}, 604),
        ({"mem_ratio": 0.5}, 619),
        ({"properties": [prop(1, "taken")]}, 609),
    ],
    ids=lambda value: str(value),
)
async def test_an_impossible_create_is_a_fault_and_changes_nothing(changes: dict[str, Any], code: int) -> None:
    async with World() as world:
        await world.join(0)
        await world.create(OTHER, "taken")
        version = world.db.version
        with pytest.raises(Fault) as caught:
            await world.create(UUID, "tank", **changes)
        assert caught.value.code == code
        assert world.db.version == version
        assert len(world.engines.of(Method.POOL_CREATE)) == 1


async def test_a_uuid_that_is_none_is_refused() -> None:
    async with World() as world:
        with pytest.raises(ControlError, match="pool UUID"):
            await world.create("not-a-uuid", "tank")


async def test_a_pool_with_containers_is_kept_unless_the_destroy_is_recursive() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        world.engines.pools[UUID].containers = ["c1"]
        with pytest.raises(Fault) as caught:
            await destroy(world)
        assert caught.value.code == 618
        assert world.db.pools[UUID].state is PoolState.READY
        assert (await destroy(world, recursive=True)).status == 0
        assert not world.store.kept.pools
        assert not world.engines.pools


async def test_a_busy_pool_stays_ready_unless_the_destroy_is_forced() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        world.engines.pools[UUID].handles = 2
        assert (await destroy(world)).status == Status.BUSY
        assert world.db.pools[UUID].state is PoolState.READY
        assert not world.engines.of(Method.POOL_DESTROY)
        assert (await destroy(world, force=True)).status == 0
        assert not world.db.pools


async def test_a_forced_destroy_goes_on_without_the_pool_s_service() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        world.engines.refusals[Method.POOL_EVICT] = data_plane_not_started()
        assert (await destroy(world, force=True, recursive=True)).status == 0
        assert not world.db.pools


async def test_a_destroy_that_lost_its_engine_is_finished_in_the_background() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        world.engines.refusals[Method.POOL_DESTROY] = data_plane_not_started()
        with pytest.raises(Fault):
            await destroy(world)
        await settled(world)
        assert not world.engines.pools
        with pytest.raises(PoolNotFoundError):
            await destroy(world)


async def test_destroy_goes_to_all_ranks_of_the_group_map() -> None:
    async with World() as world:
        for n in range(3):
            await world.join(n)
        await world.create(UUID, "tank", ranks=[1])
        await destroy(world)
        assert list(world.engines.of(Method.POOL_DESTROY)[-1].svc_ranks) == [0, 1, 2]


async def test_a_pool_in_use_by_one_operation_refuses_the_next_with_fault_402() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        entered = world.engines.hold(Method.POOL_DESTROY)
        destroying = asyncio.ensure_future(destroy(world))
        await entered.wait()
        for attempt in (
            destroy(world),
            world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id="tank", properties=[prop(5, 0)])),
        ):
            with pytest.raises(Fault) as caught:
                await attempt
            assert caught.value.code == 402
        world.engines.gates[Method.POOL_DESTROY].set()
        await destroying
        assert len(world.service._locks) == 0


async def test_a_new_label_is_recorded_and_set_before_all_other_properties() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        values = [prop(5, 1), prop(1, "barrel"), prop(3, 10)]
        await world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id="tank", properties=values))
        label, others = world.engines.of(Method.POOL_SET_PROP)
        assert [p.number for p in label.properties] == [1]
        assert [p.number for p in others.properties] == [5, 3]
        assert world.store.kept.pool_of_label("barrel") is not None
        assert world.store.kept.pool_of_label("tank") is None


@pytest.mark.parametrize("how", ["status", "lost"])
async def test_a_label_that_the_engine_refuses_is_taken_back_and_nothing_else_is_set(how: str) -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        if how == "status":
            world.engines.statuses[Method.POOL_SET_PROP] = Status.NO_PERM
        else:
            world.engines.refusals[Method.POOL_SET_PROP] = data_plane_not_started()
        values = [prop(1, "barrel"), prop(5, 1)]
        with pytest.raises((DaosError, Fault)):
            await world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id="tank", properties=values))
        assert world.store.kept.pools[UUID].label == "tank"
        assert len(world.engines.of(Method.POOL_SET_PROP)) == (1 if how == "status" else 0)


async def test_two_pools_that_are_given_one_label_at_once_do_not_both_get_it() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "one")
        await world.create(OTHER, "two")
        results = await asyncio.gather(
            *(
                world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id=pool, properties=[prop(1, "new")]))
                for pool in ("one", "two")
            ),
            return_exceptions=True,
        )
        assert [getattr(r, "code", 0) for r in results] == [0, 609]
        assert len(world.engines.of(Method.POOL_SET_PROP)) == 1


async def test_a_query_without_a_mask_gets_the_default_one_and_the_system_s_policy() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        await world.call("SystemSetProp", system_pb2.SystemSetPropReq(sys=SYS, properties={"self_heal": "exclude"}))
        reply = await world.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id=UUID.upper()))
        assert world.engines.of(Method.POOL_QUERY)[-1].query_mask == (1 << 64) - 1 - 0x54
        assert (reply.leader, reply.svc_ldr, reply.sys_self_heal_policy) == (0, 0, "exclude")


async def test_requests_for_pools_that_are_not_there_or_name_nothing_say_so() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        with pytest.raises(PoolNotFoundError, match='label "nowhere"'):
            await world.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="nowhere"))
        with pytest.raises(ControlError, match="empty pool id"):
            await world.call("PoolEvict", pool_pb2.PoolEvictReq(sys=SYS))
        with pytest.raises(ControlError, match="0 properties"):
            await world.call("PoolGetProp", pool_pb2.PoolGetPropReq(sys=SYS, id="tank"))
        with pytest.raises(ControlError, match="0 properties"):
            await world.call("PoolSetProp", pool_pb2.PoolSetPropReq(sys=SYS, id="tank"))


async def test_a_pool_whose_service_ranks_are_all_stopped_cannot_be_asked() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True))
        with pytest.raises(ControlError, match="service ranks"):
            await world.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="tank"))


async def test_evict_answers_how_many_handles_it_closed() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        world.engines.pools[UUID].handles = 3
        reply = await world.call("PoolEvict", pool_pb2.PoolEvictReq(sys=SYS, id="tank"))
        assert reply.count == 3
        assert (await world.call("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="tank"))).status == 0


async def test_what_engines_ask_of_the_database_is_answered_for_ready_pools_only() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(UUID, "tank")
        service = world.service
        assert service.pool_service(UUID.upper()) == (0,)
        assert service.pool_service("nonsense") is None
        found = service.pool_by_label("tank")
        assert found is not None
        assert found.uuid == UUID
        world.engines.statuses[Method.POOL_DESTROY] = Status.UNREACH
        await destroy(world)
        assert service.pool_service(UUID) is None
        assert service.pool_by_label("tank") is None
        assert service.list_pools(include_all=False) == []
        assert [pool.uuid for pool in service.list_pools(include_all=True)] == [UUID]
        assert service.system_properties(["self_heal"]) == {"self_heal": "exclude;pool_exclude;pool_rebuild"}


async def test_a_commit_that_fails_after_the_engine_s_yes_does_not_lose_the_pool_s_space() -> None:
    async with World() as world:
        await world.join(0)
        world.store.errors = [None, OSError(28, "No space left on device")]
        with pytest.raises(Fault, match="No space left"):
            await world.create(UUID, "tank")
        assert world.db.pools[UUID].state is PoolState.CREATING
        await world.until(lambda db: not db.pools)
        assert not world.engines.pools


async def test_a_closing_service_ends_a_create_that_its_engine_finishes_in_time() -> None:
    world = World()
    async with world:
        await world.join(0)
        entered = world.engines.hold(Method.POOL_CREATE)
        creating = asyncio.ensure_future(world.create(UUID, "tank"))
        await entered.wait()
        closing = asyncio.ensure_future(world.service.close())
        await asyncio.sleep(0)
        with pytest.raises(SystemUnavailableError):
            await world.create(OTHER, "late")
        world.engines.gates[Method.POOL_CREATE].set()
        await closing
        assert (await creating).status == 0
    assert world.store.kept.pools[UUID].state is PoolState.READY
