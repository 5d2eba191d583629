"""Who answers what: system name, replica, open, checker; and the methods that are not offered."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daos_control.faults import (
    ControlError,
    Fault,
    NotReplicaError,
    SystemUnavailableError,
    SystemUninitializedError,
)
from daos_control.faults.unimplemented import UnimplementedFault
from daos_control.ms.routing import ROUTES
from daos_control.ms.session import Session, State
from daos_control.ms.settings import Limits
from daos_control.proto.mgmt import mgmt_pb2, pool_pb2, svc_pb2, system_pb2
from daos_control.system.changes import SetAttributes
from daos_control.system.decision import Decision
from fakes_ms import HERE, SYS, World, join_request

METHODS = mgmt_pb2.DESCRIPTOR.services_by_name["MgmtSvc"].methods
OFFERED = set(
    """Join LeaderQuery GetAttachInfo SystemQuery SystemStop SystemStart SystemErase SystemGetProp SystemSetProp
    SystemGetAttr SystemSetAttr ClusterEvent PoolCreate PoolDestroy PoolQuery PoolGetProp PoolSetProp PoolEvict
    ListPools ListContainers""".split()  # noqa: SIM905
)


def empty_request(method: Any) -> Any:
    request = method.input_type._concrete_class()
    if "sys" in method.input_type.fields_by_name:
        request.sys = SYS
    return request


def test_every_method_of_the_service_has_a_route() -> None:
    assert ROUTES.keys() == {method.name for method in METHODS}


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [m for m in METHODS if m.name not in OFFERED], ids=lambda m: m.name)
async def test_a_method_that_is_not_offered_says_which_and_what_to_do(method: Any) -> None:
    async with World() as world:
        with pytest.raises(UnimplementedFault, match=f"/mgmt.MgmtSvc/{method.name}") as caught:
            await world.call(method.name, empty_request(method))
        assert caught.value.resolution


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [m for m in METHODS if m.name in OFFERED], ids=lambda m: m.name)
async def test_before_there_is_a_system_nobody_but_leader_query_is_answered(method: Any) -> None:
    world = World()
    if method.name == "LeaderQuery":
        reply = await world.call("LeaderQuery", svc_pb2.LeaderQueryReq(sys=SYS))
        assert (reply.current_leader, list(reply.replicas)) == ("", [HERE])
        return
    with pytest.raises(SystemUninitializedError, match="system is uninitialized"):
        await world.call(method.name, empty_request(method))


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [m for m in METHODS if m.name in OFFERED], ids=lambda m: m.name)
async def test_a_server_that_is_no_replica_names_those_that_are(method: Any) -> None:
    world = World(address="127.0.0.9:10001")
    with pytest.raises(NotReplicaError) as caught:
        await world.call(method.name, empty_request(method))
    assert caught.value.replicas == (HERE,)
    with pytest.raises(NotReplicaError):
        await world.service.open(Path("/nowhere"))


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [m for m in METHODS if m.name in OFFERED], ids=lambda m: m.name)
async def test_the_system_s_name_is_checked_before_anything_else(method: Any) -> None:
    if "sys" not in method.input_type.fields_by_name:
        pytest.skip("its request names no system")
    request = empty_request(method)
    request.sys = "another-2.8.0"
    with pytest.raises(Fault) as caught:
        await World(address="127.0.0.9:10001").call(method.name, request)
    assert caught.value.code == 603


@pytest.mark.asyncio
async def test_with_the_checker_enabled_only_its_own_methods_are_answered() -> None:
    async with World() as world:
        await world.join(0)
        await world.service.session.submit(
            lambda _db, _now: Decision((SetAttributes({"mgmt.checker_enabled": "true"}),), None)
        )
        for name, request in (
            ("PoolCreate", pool_pb2.PoolCreateReq(sys=SYS)),
            ("SystemSetAttr", system_pb2.SystemSetAttrReq(sys=SYS)),
            ("PoolQuery", pool_pb2.PoolQueryReq(sys=SYS, id="tank")),
        ):
            with pytest.raises(Fault) as caught:
                await world.call(name, request)
            assert caught.value.code == 1103
        assert (await world.call("Join", join_request(0))).state == svc_pb2.JoinResp.CHECK
        assert len((await world.call("SystemQuery", system_pb2.SystemQueryReq(sys=SYS))).members) == 1


@pytest.mark.asyncio
async def test_the_open_service_is_its_own_leader() -> None:
    async with World() as world:
        reply = await world.call("LeaderQuery", svc_pb2.LeaderQueryReq(sys=SYS))
        assert (reply.current_leader, list(reply.replicas)) == (HERE, [HERE])


@pytest.mark.asyncio
async def test_open_and_close_may_be_repeated() -> None:
    world = World()
    await world.service.close()
    for _ in range(2):
        await world.service.open(Path("/nowhere"))
        await world.service.open(Path("/nowhere"))
        assert world.service.is_open
        await world.service.close()
        await world.service.close()
        assert not world.service.is_open
        assert world.store.is_closed


@pytest.mark.asyncio
async def test_an_open_that_fails_leaves_the_service_closed_and_can_be_repeated() -> None:
    world = World()

    async def broken() -> Any:
        raise OSError(5, "Input/output error")

    world.store.load, load = broken, world.store.load  # type: ignore[method-assign]
    with pytest.raises(OSError):
        await world.service.open(Path("/nowhere"))
    with pytest.raises(SystemUninitializedError):
        _ = world.db
    world.store.load = load  # type: ignore[method-assign]
    async with world:
        await world.join(0)


@pytest.mark.asyncio
async def test_a_changed_provider_is_refused_while_ranks_are_joined_and_recorded_when_none_is() -> None:
    async with World() as world:
        await world.join(0)
        kept = world.store.kept
    other = World(providers=("ofi+verbs",))
    other.store.kept = kept
    with pytest.raises(ControlError, match="provider"):
        await other.service.open(Path("/nowhere"))
    assert not other.service.is_open
    stopped = World()
    stopped.store.kept = kept
    async with stopped:
        await stopped.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True))
    other.store.kept = stopped.store.kept
    async with other:
        assert other.db.attributes["mgmt.fabric_providers"] == "ofi+verbs"
        assert other.db.attributes["mgmt.group_update_paused"] == "true"
        assert [event.name for event in other.events] == ["system_fabric_provider_changed"]


@pytest.mark.asyncio
async def test_a_caller_that_is_cancelled_does_not_stop_work_that_must_end() -> None:
    async with World() as world:
        begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.set()
            await go.wait()
            done.set()

        caller = asyncio.ensure_future(world.service.session.to_the_end(work(), "work"))
        await begun.wait()
        caller.cancel()
        go.set()
        await done.wait()
        assert caller.cancelled()


@pytest.mark.asyncio
async def test_work_that_outlives_the_close_is_cut_and_its_caller_told() -> None:
    world = World(limits=Limits(close_s=0.0))
    await world.service.open(Path("/nowhere"))
    never = asyncio.Event()
    caller = asyncio.ensure_future(world.service.session.to_the_end(never.wait(), "work"))
    await asyncio.sleep(0)
    await world.service.close()
    with pytest.raises(SystemUnavailableError):
        await caller


@pytest.mark.parametrize("begin", list(State))
@pytest.mark.parametrize("end", list(State))
def test_the_service_moves_only_as_its_table_says(begin: State, end: State) -> None:
    legal = {
        (State.CLOSED, State.OPENING), (State.OPENING, State.OPEN), (State.OPENING, State.CLOSING),
        (State.OPEN, State.CLOSING), (State.CLOSING, State.CLOSED),
    }  # fmt: skip
    session = Session()
    session.state = begin
    if (begin, end) in legal:
        session.move(end)
        assert session.state is end
    else:
        with pytest.raises(ValueError, match="cannot become"):
            session.move(end)


@pytest.mark.asyncio
async def test_a_service_that_was_fenced_off_answers_nobody_and_can_still_be_closed() -> None:
    async with World() as world:
        await world.join(0)
        world.store.kept = world.store.kept.copy()
        world.store.kept.apply([SetAttributes({"theirs": "x"})])
        for attempt in (
            world.join(1),
            world.call("SystemQuery", system_pb2.SystemQueryReq(sys=SYS)),
            world.call("PoolCreate", pool_pb2.PoolCreateReq(sys=SYS)),
        ):
            with pytest.raises(SystemUnavailableError, match="raft service unavailable"):
                await attempt
        reply = await world.call("LeaderQuery", svc_pb2.LeaderQueryReq(sys=SYS))
        assert reply.current_leader == ""
