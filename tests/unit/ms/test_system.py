"""The system as a whole: query, stop, start, erase, properties, attributes."""

import asyncio

import pytest

from daos_control.drpc import Method
from daos_control.faults import ControlError, Fault, SystemUnavailableError, SystemUninitializedError
from daos_control.ms.settings import Limits
from daos_control.proto.mgmt import system_pb2
from daos_control.system.events import RasId
from fakes_ms import HERE, SYS, FakeContext, World, pool_uuid

pytestmark = pytest.mark.asyncio


async def grown(world: World, count: int = 4) -> None:
    await asyncio.gather(*[world.join(n) for n in range(count)])


async def query(world: World, **changes: object) -> system_pb2.SystemQueryResp:
    return await world.call("SystemQuery", system_pb2.SystemQueryReq(sys=SYS, **changes))  # type: ignore[arg-type]


async def test_a_query_tells_all_of_each_member() -> None:
    async with World() as world:
        await grown(world, 2)
        reply = await query(world)
        first, second = reply.members
        assert (first.rank, first.addr, first.state, first.fault_domain) == (0, HERE, "joined", "/host0")
        assert (first.fabric_uri, first.fabric_contexts, first.incarnation) == ("ofi+tcp://10.0.0.0:31416", 3, 100)
        assert first.last_update == "2026-11-23T03:30:52.497022Z"
        assert second.rank == 1
        assert list(reply.providers) == ["ofi+tcp"]
        assert reply.sys_self_heal_policy == "exclude;pool_exclude;pool_rebuild"
        assert reply.data_version == world.db.version
        assert (reply.absentranks, reply.absenthosts) == ("", "")


async def test_a_query_of_a_system_without_members_sends_the_client_to_another_replica() -> None:
    async with World() as world:
        with pytest.raises(SystemUnavailableError, match="raft service unavailable"):
            await query(world)
        assert not (await query(world, ranks="0")).members


async def test_ranks_hosts_and_states_choose_the_members() -> None:
    async with World() as world:
        await grown(world)
        reply = await query(world, ranks="1-2,7")
        assert ([m.rank for m in reply.members], reply.absentranks) == ([1, 2], "7")
        reply = await query(world, hosts="10.0.0.[2-3],10.0.0.9")
        assert [m.addr for m in reply.members] == ["10.0.0.2:10001", "10.0.0.3:10001"]
        assert reply.absenthosts == "10.0.0.9"
        assert not (await query(world, state_mask=0x20)).members
        with pytest.raises(ControlError):
            await query(world, ranks="1", hosts="10.0.0.1")


async def test_a_forced_stop_stops_every_rank_at_its_host() -> None:
    async with World() as world:
        await grown(world)
        reply = await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True))
        assert [(r.rank, r.action, r.state, r.msg, r.errored) for r in reply.results] == [
            (n, "stop", "stopped", "system stop", False) for n in range(4)
        ]
        assert [r.addr for r in reply.results] == [HERE, "10.0.0.1:10001", "10.0.0.2:10001", "10.0.0.3:10001"]
        assert {action for action, _, _ in world.hosts.asked} == {"stop"}
        assert {m.state for m in (await query(world)).members} == {"stopped"}
        assert {m.info for m in (await query(world)).members} == {"system stop"}


async def test_an_orderly_stop_prepares_first_and_stops_nobody_when_one_cannot() -> None:
    async with World() as world:
        await grown(world, 3)
        world.hosts.failing = {1}
        reply = await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS))
        assert [(r.rank, r.action, r.errored) for r in reply.results] == [
            (n, "prep shutdown", n == 1) for n in range(3)
        ]
        assert {action for action, _, _ in world.hosts.asked} == {"prep"}
        assert [event.id for event in world.events] == [RasId.SYSTEM_STOP_FAILED]
        world.hosts.failing = set()
        await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, ranks="0,2"))
        assert {action for action, _, _ in world.hosts.asked} == {"prep", "stop"}


async def test_hosts_that_fail_or_never_answer_leave_one_unresponsive_result_for_each_rank() -> None:
    async with World() as world:
        await grown(world)
        world.hosts.down = {"10.0.0.1:10001": ControlError("connection refused")}
        world.hosts.silent = {"10.0.0.2:10001"}
        request = system_pb2.SystemStopReq(sys=SYS, force=True)
        reply = await world.call("SystemStop", request, FakeContext(left=0.6))
        assert [(r.rank, r.state) for r in reply.results] == [
            (0, "stopped"), (1, "unresponsive"), (2, "unresponsive"), (3, "stopped"),
        ]  # fmt: skip
        assert "connection refused" in reply.results[1].msg
        assert "in time" in reply.results[2].msg
        assert [event.id for event in world.events] == [RasId.SYSTEM_STOP_FAILED]
        assert [m.state for m in (await query(world)).members] == [r.state for r in reply.results]


async def test_no_more_hosts_are_asked_at_once_than_the_limit() -> None:
    async with World(limits=Limits(fan_out=8)) as world:
        await grown(world, 100)
        reply = await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True))
        assert len(reply.results) == 100
        assert world.hosts.at_once_max == 8


async def test_a_stop_goes_on_to_the_end_when_its_caller_leaves() -> None:
    async with World() as world:
        await grown(world, 2)
        world.store.gate.clear()
        world.store.committing.clear()
        stopping = asyncio.ensure_future(world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True)))
        await world.store.committing.wait()
        stopping.cancel()
        world.store.gate.set()
    assert {m.state.wire_name for m in world.store.kept.members.values()} == {"stopped"}


async def test_a_start_does_not_make_joined_ranks_ready_again() -> None:
    async with World() as world:
        await grown(world, 2)
        await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True, ranks="1"))
        reply = await world.call("SystemStart", system_pb2.SystemStartReq(sys=SYS))
        assert [(r.rank, r.action, r.state) for r in reply.results] == [(n, "start", "ready") for n in range(2)]
        assert [m.state for m in (await query(world)).members] == ["joined", "ready"]
        world.hosts.failing = {0}
        await world.call("SystemStart", system_pb2.SystemStartReq(sys=SYS, ranks="0"))
        assert [event.id for event in world.events] == [RasId.SYSTEM_START_FAILED]


async def test_an_erase_forgets_the_system_only_when_every_rank_could_be_reset() -> None:
    async with World() as world:
        erased: list[bool] = []
        world.service.on_erased(lambda: erased.append(True))
        await grown(world, 2)
        world.hosts.failing = {1}
        reply = await world.call("SystemErase", system_pb2.SystemEraseReq(sys=SYS))
        assert [(r.rank, r.action, r.errored) for r in reply.results] == [
            (0, "reset format", False), (1, "reset format", True),
        ]  # fmt: skip
        assert world.service.is_open
        assert not erased
        world.hosts.failing = set()
        await world.call("SystemErase", system_pb2.SystemEraseReq(sys=SYS))
        assert erased == [True]
        assert not world.store.kept.members
        with pytest.raises(SystemUninitializedError):
            await query(world)


async def test_attributes_are_kept_and_an_empty_value_deletes() -> None:
    async with World() as world:
        await world.call("SystemSetAttr", system_pb2.SystemSetAttrReq(sys=SYS, attributes={"foo": "bar", "a": "b"}))
        reply = await world.call("SystemGetAttr", system_pb2.SystemGetAttrReq(sys=SYS))
        assert dict(reply.attributes) == {"foo": "bar", "a": "b"}
        await world.call("SystemSetAttr", system_pb2.SystemSetAttrReq(sys=SYS, attributes={"a": ""}))
        with pytest.raises(ControlError, match='"a"'):
            await world.call("SystemGetAttr", system_pb2.SystemGetAttrReq(sys=SYS, keys=["a"]))
        with pytest.raises(ControlError, match="reserved"):
            await world.call("SystemSetAttr", system_pb2.SystemSetAttrReq(sys=SYS, attributes={"mgmt.x": "1"}))


async def test_properties_have_defaults_and_reach_every_ready_pool() -> None:
    async with World() as world:
        await world.join(0)
        await world.create(pool_uuid(1), "one")
        await world.create(pool_uuid(2), "two")
        reply = await world.call("SystemGetProp", system_pb2.SystemGetPropReq(sys=SYS))
        assert dict(reply.properties) == {
            "daos_system": "daos_server",
            "daos_version": "2.8.0",
            "pool_scrub_mode": "off",
            "pool_scrub_thresh": "0",
            "self_heal": "exclude;pool_exclude;pool_rebuild",
        }
        await world.call(
            "SystemSetProp", system_pb2.SystemSetPropReq(sys=SYS, properties={"pool_scrub_mode": "lazy"})
        )
        requests = world.engines.of(Method.POOL_SET_PROP)
        assert [(r.id, [(p.number, p.numval) for p in r.properties]) for r in requests] == [
            (pool_uuid(n), [(16, 1)]) for n in (1, 2)
        ]
        await world.call("SystemSetProp", system_pb2.SystemSetPropReq(sys=SYS, properties={"self_heal": "none"}))
        assert len(world.engines.of(Method.POOL_SET_PROP)) == 2
        assert (await query(world)).sys_self_heal_policy == "none"


async def test_an_unknown_property_or_value_changes_nothing() -> None:
    async with World() as world:
        version = world.db.version
        for wrong in ({"nonsense": "1"}, {"self_heal": "sometimes"}, {"daos_version": "9"}):
            with pytest.raises((ControlError, Fault)):
                await world.call("SystemSetProp", system_pb2.SystemSetPropReq(sys=SYS, properties=wrong))
        assert world.db.version == version
