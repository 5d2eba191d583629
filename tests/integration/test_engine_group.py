"""Several embedded engines: one map, pools over all of them, deaths seen and survived."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from daos_control.drpc import Method
from daos_control.faults.status import Status
from daos_control.proto.mgmt import pool_pb2, svc_pb2
from integration.engine_support import (
    MIB,
    EngineProcess,
    SmallServer,
    create_request,
    files_under,
    group_map,
    until,
)

pytestmark = pytest.mark.asyncio

Group = Callable[..., Awaitable[list[EngineProcess]]]


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmallServer]:
    async with SmallServer(tmp_path) as small:
        yield small


@pytest_asyncio.fixture
async def group(server: SmallServer, tmp_path: Path) -> AsyncIterator[Group]:
    """Starts engines of ranks 0.. in one group; only rank 0 is told of the map by the server."""
    made: list[EngineProcess] = []

    async def start(count: int, **extra: str) -> list[EngineProcess]:
        for rank in range(count):
            storage = tmp_path / f"scm{rank}"
            storage.mkdir()
            made.append(EngineProcess(server, storage))
            await made[-1].start(**extra)
            await made[-1].join(rank)
        assert (await made[0].call(Method.GROUP_UPDATE, group_map(made, 2))).status == 0
        return made

    yield start
    for engine in made:
        engine.clean_up()


async def query(engine: EngineProcess, uuid: str, ranks: list[int], mask: int = 0x1F) -> Any:
    return await engine.call(Method.POOL_QUERY, pool_pb2.PoolQueryReq(id=uuid, svc_ranks=ranks, query_mask=mask))


async def restart(engine: EngineProcess, everybody: list[EngineProcess], version: int, **extra: str) -> None:
    await engine.start(**extra)
    await engine.join(engine.rank, map_version=version)
    assert (await engine.call(Method.GROUP_UPDATE, group_map(everybody, version))).status == 0


def dead(rank: int) -> Callable[[Any], bool]:
    return lambda event: event.id == 17 and event.rank == rank


async def test_engines_that_the_server_did_not_tell_learn_the_map_from_peers(group: Group) -> None:
    engines = await group(3)

    async def knows(engine: EngineProcess) -> bool:
        reply = await engine.call(Method.GROUP_STATUS_GET, svc_pb2.GetGroupStatusReq(map_version=2))
        return bool(reply.status == 0)

    for engine in engines:
        await until(lambda engine=engine: knows(engine), "the map has come")


async def test_a_pool_is_made_on_all_ranks_and_any_engine_answers_for_it(group: Group) -> None:
    engines = await group(3)
    request = create_request([0, 1, 2])
    created = await engines[0].call(Method.POOL_CREATE, request)
    assert created == pool_pb2.PoolCreateResp(
        svc_reps=[0, 1, 2], tgt_ranks=[0, 1, 2], tier_bytes=[8 * MIB, 0], mem_file_bytes=8 * MIB
    )
    for engine in engines:
        assert {path for path in files_under(engine.storage) if "vos-" in path} == {
            f"{request.uuid}/vos-0",
            f"{request.uuid}/vos-1",
        }
        await until(lambda e=engine: e.call(Method.GROUP_STATUS_GET, svc_pb2.GetGroupStatusReq()), "answers")
        found = await query(engine, request.uuid, [0, 1, 2])
        assert (found.status, found.svc_ldr, found.total_targets, found.active_targets) == (0, 0, 6, 6)
        assert (found.tier_stats[0].total, found.enabled_ranks) == (24 * MIB, "[0-2]")
    change = pool_pb2.PoolSetPropReq(
        id=request.uuid, svc_ranks=[2], properties=[pool_pb2.PoolProperty(number=3, numval=9)]
    )
    assert (await engines[2].call(Method.POOL_SET_PROP, change)).status == 0
    get = pool_pb2.PoolGetPropReq(id=request.uuid, svc_ranks=[0], properties=[pool_pb2.PoolProperty(number=3)])
    assert (await engines[1].call(Method.POOL_GET_PROP, get)).properties[0].numval == 9
    destroy = pool_pb2.PoolDestroyReq(id=request.uuid, svc_ranks=[0, 1, 2])
    assert (await engines[1].call(Method.POOL_DESTROY, destroy)).status == 0
    assert not any("vos-" in path for engine in engines for path in files_under(engine.storage))


async def test_a_pool_that_one_rank_cannot_hold_is_undone_on_all(group: Group) -> None:
    engines = await group(3)
    request = create_request([0, 1, 2])
    (engines[2].storage / request.uuid).mkdir()
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == Status.EXIST
    assert not any("vos-" in path for engine in engines for path in files_under(engine.storage))
    (engines[2].storage / request.uuid).rmdir()
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == 0


async def test_a_rank_that_is_killed_is_reported_dead_once_and_leaves_its_pools(
    server: SmallServer, group: Group
) -> None:
    engines = await group(3)
    request = create_request([0, 1, 2])
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == 0
    await engines[2].kill()
    event = await server.event(dead(2))
    assert (event.incarnation, event.type, event.severity) == (engines[2].ready.incarnation, 1, 3)

    async def excluded() -> Any:
        found = await query(engines[0], request.uuid, [0, 1, 2])
        return found if found.disabled_ranks == "[2]" else None

    found = await until(excluded, "rank 2 is excluded from the pool")
    assert (found.version, found.disabled_targets, found.enabled_ranks) == (2, 2, "[0-1]")
    assert (await engines[1].call(Method.GROUP_STATUS_GET)).dead_ranks == [2]
    await restart(engines[2], engines, 3)

    async def back() -> bool:
        return list((await engines[0].call(Method.GROUP_STATUS_GET)).dead_ranks) == []

    await until(back, "rank 2 is alive again")
    reintegrate = pool_pb2.PoolReintReq(id=request.uuid, svc_ranks=[0, 1], rank=2)
    assert (await engines[0].call(Method.POOL_REINTEGRATE, reintegrate)).status == 0
    assert (await query(engines[0], request.uuid, [0, 1, 2])).disabled_ranks == "[]"
    by_reporter = [event.proc_id for event in server.events if event.id == 17]
    assert len(by_reporter) == len(set(by_reporter))


async def test_without_the_policy_a_dead_rank_stays_in_its_pools(server: SmallServer, group: Group) -> None:
    server.self_heal = "exclude"
    engines = await group(3)
    request = create_request([0, 1, 2])
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == 0
    asked = len(server.property_requests)
    await engines[2].kill()
    await server.event(dead(2))
    await until(lambda: len(server.property_requests) > asked, "the policy is asked for")
    found = await query(engines[0], request.uuid, [0, 1, 2])
    assert (found.disabled_ranks, found.dead_ranks, found.active_targets) == ("[]", "[2]", 4)


async def test_a_pool_outlives_its_service_leader(server: SmallServer, group: Group) -> None:
    engines = await group(3)
    request = create_request([0, 1, 2])
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == 0
    await engines[0].kill()
    await server.event(dead(0))
    change = pool_pb2.PoolSetPropReq(
        id=request.uuid, svc_ranks=[0, 1, 2], properties=[pool_pb2.PoolProperty(number=3, numval=9)]
    )
    assert (await engines[2].call(Method.POOL_SET_PROP, change)).status == 0
    found = await query(engines[2], request.uuid, [0, 1, 2])
    assert (found.status, found.svc_ldr, found.total_targets) == (0, 1, 6)
    await engines[1].kill()
    evict = pool_pb2.PoolEvictReq(id=request.uuid, svc_ranks=[1, 2], destroy=True)
    assert (await engines[2].call(Method.POOL_EVICT, evict)).status == Status.NO_SERVICE
    await restart(engines[0], engines, 3)
    get = pool_pb2.PoolGetPropReq(id=request.uuid, svc_ranks=[0, 2], properties=[pool_pb2.PoolProperty(number=3)])
    assert (await engines[0].call(Method.POOL_GET_PROP, get)).properties[0].numval == 9


async def test_a_paused_engine_is_dead_and_comes_back_without_calling_the_others_dead(
    server: SmallServer, group: Group
) -> None:
    engines = await group(2)
    await until(lambda: engines[1].call(Method.GROUP_STATUS_GET), "answers")
    engines[1].running.send_signal(signal.SIGSTOP)
    await server.event(dead(1))
    engines[1].running.send_signal(signal.SIGCONT)

    async def recovered() -> bool:
        lists = [list((await engine.call(Method.GROUP_STATUS_GET)).dead_ranks) for engine in engines]
        return lists == [[], []]

    await until(recovered, "both are alive to each other")
    assert not any(event.id == 17 and event.rank == 0 for event in server.events)


async def test_pings_are_answered_while_pools_are_made(server: SmallServer, group: Group) -> None:
    engines = await group(2)
    for _ in range(6):
        request = create_request([0, 1], scm=64 * MIB)
        assert (await engines[0].call(Method.POOL_CREATE, request)).status == 0
        destroy = pool_pb2.PoolDestroyReq(id=request.uuid, svc_ranks=[0, 1])
        assert (await engines[1].call(Method.POOL_DESTROY, destroy)).status == 0
    assert not any(event.id == 17 for event in server.events)


@pytest.mark.parametrize("step", ["shard-made", "service-made", "shard-committed"])
async def test_a_coordinator_killed_while_a_pool_is_made_leaves_it_whole_or_nowhere(
    server: SmallServer, group: Group, step: str
) -> None:
    engines = await group(2)
    await engines[0].stop()
    await restart(engines[0], engines, 3, DAOS_EMBEDDED_CRASH_AT=step)
    request = create_request([0, 1], num_svc_reps=1)
    with pytest.raises(Exception, match=r"\w"):
        await engines[0].call(Method.POOL_CREATE, request)
    assert await engines[0].wait() == -9
    await restart(engines[0], engines, 4)

    async def settled() -> bool:
        parts = [any("vos-" in path for path in files_under(engine.storage)) for engine in engines]
        found = await query(engines[1], request.uuid, [0, 1])
        if parts == [False, False]:
            return bool(found.status == Status.NONEXIST)
        return parts == [True, True] and found.status == 0 and found.active_targets == 4

    await until(settled, "the pool is whole or nowhere")


async def test_a_rank_that_dies_while_a_pool_is_made_fails_it_everywhere(server: SmallServer, group: Group) -> None:
    engines = await group(2)
    await engines[1].stop()
    await restart(engines[1], engines, 3, DAOS_EMBEDDED_CRASH_AT="targets-allocated")
    assert (await engines[0].call(Method.GROUP_UPDATE, group_map(engines, 4))).status == 0
    request = create_request([0, 1])
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == Status.UNREACH
    assert not any("vos-" in path for path in files_under(engines[0].storage))
    await restart(engines[1], engines, 5)
    assert not any("vos-" in path for path in files_under(engines[1].storage))


async def test_a_map_from_a_peer_without_its_rank_ends_an_engine_too(server: SmallServer, group: Group) -> None:
    engines = await group(2)
    await until(lambda: engines[1].call(Method.GROUP_STATUS_GET), "answers")
    smaller = group_map(engines[:1], 3)
    assert (await engines[0].call(Method.GROUP_UPDATE, smaller)).status == 0
    # The excluded engine asks its peers for the newer map that their pings tell of, and so learns it.
    event = await server.event(lambda event: event.id == 5)
    assert event.rank == 1
    assert await engines[1].wait() == -signal.SIGKILL


async def test_changes_by_several_engines_at_once_are_all_kept(group: Group) -> None:
    engines = await group(3)
    request = create_request([0, 1, 2])
    assert (await engines[0].call(Method.POOL_CREATE, request)).status == 0

    async def change(engine: EngineProcess, number: int, value: int) -> int:
        wanted = pool_pb2.PoolProperty(number=number, numval=value)
        ask = pool_pb2.PoolSetPropReq(id=request.uuid, svc_ranks=[0, 1, 2], properties=[wanted])
        return int((await engine.call(Method.POOL_SET_PROP, ask)).status)

    changes = [(3, 11), (17, 12), (18, 13), (23, 14), (24, 15), (27, 66)]
    results = await asyncio.gather(*(change(engines[i % 3], n, v) for i, (n, v) in enumerate(changes)))
    assert results == [0] * len(changes)
    numbers = [pool_pb2.PoolProperty(number=number) for number, _ in changes]
    reply = await engines[1].call(
        Method.POOL_GET_PROP, pool_pb2.PoolGetPropReq(id=request.uuid, svc_ranks=[0], properties=numbers)
    )
    assert [(item.number, item.numval) for item in reply.properties] == changes
