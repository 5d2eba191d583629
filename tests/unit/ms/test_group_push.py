"""The group map reaches a local engine: the newest, accepted, never one that would kill it."""

import asyncio

import pytest

from daos_control.proto.mgmt import system_pb2
from daos_control.system.changes import BumpMapVersion, SetAttributes
from daos_control.system.decision import Decision
from fakes_ms import SYS, World

pytestmark = pytest.mark.asyncio


async def pushed(world: World, count: int = 1) -> None:
    """Wait until the engine has accepted that many maps."""
    async with asyncio.timeout(5):
        while len(world.engines.maps) < count:
            world.engines.updated.clear()
            await world.engines.updated.wait()


async def idle(world: World) -> None:
    """Wait until nothing that is due now is left to be pushed."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_join_is_followed_by_a_map_with_the_engine_in_it() -> None:
    async with World() as world:
        reply = await world.join(0)
        await pushed(world)
        (update,) = world.engines.maps
        assert update.map_version >= reply.map_version
        assert [(e.rank, e.uri, e.incarnation) for e in update.engines] == [(0, "ofi+tcp://10.0.0.0:31416", 100)]


async def test_a_join_that_repeats_what_is_known_is_pushed_with_the_version_it_was_answered() -> None:
    """Its engine was told that version, and takes no older map."""
    async with World() as world:
        await world.join(0)
        await pushed(world)
        reply = await world.join(0)
        await pushed(world, 2)
        assert world.engines.maps[1].engines == world.engines.maps[0].engines
        assert world.engines.maps[1].map_version >= reply.map_version


async def test_a_storm_of_joins_is_pushed_in_few_maps_the_last_of_which_is_complete() -> None:
    async with World() as world:
        await world.join(0)
        await asyncio.gather(*(world.join(n) for n in range(1, 300)))
        await idle(world)
        assert len(world.engines.maps) < 10
        assert len(world.engines.maps[-1].engines) == 300
        assert world.engines.maps[-1].map_version == world.db.map_version


async def test_a_map_that_was_not_accepted_is_sent_again_until_it_is() -> None:
    async with World() as world:
        world.engines.map_statuses = [-1036, -1006, -1025]
        await world.join(0)
        await pushed(world)
        assert world.engines.map_statuses == []
        assert len(world.engines.maps) == 1


async def test_a_recorded_stop_or_death_pushes_nothing_as_the_map_stays_the_same() -> None:
    async with World() as world:
        await world.join(0)
        await world.join(1)
        await idle(world)
        before = len(world.engines.maps)
        await world.call("SystemStop", system_pb2.SystemStopReq(sys=SYS, force=True, ranks="1"))
        await idle(world)
        assert world.db.members_by_rank()[1].state.wire_name == "stopped"
        assert len(world.engines.maps) == before


async def test_an_explicit_raise_of_the_version_is_pushed() -> None:
    async with World() as world:
        await world.join(0)
        await idle(world)
        await world.service.session.submit(lambda _db, _now: Decision((BumpMapVersion(),), None))
        await pushed(world, 2)
        assert world.engines.maps[1].map_version == world.engines.maps[0].map_version + 1


async def test_no_map_is_sent_while_none_of_the_ready_engines_is_in_it() -> None:
    async with World() as world:
        world.engines.ranks = {7}
        await world.join(0)
        await idle(world)
        assert world.engines.map_attempts == 0
        world.engines.ranks = {0, 7}
        world.service.engine_ready()
        await pushed(world)


async def test_the_map_waits_for_an_engine_even_when_nobody_says_that_it_is_ready() -> None:
    async with World() as world:
        world.engines.ranks = set()
        await world.join(0)
        await idle(world)
        assert not world.engines.maps
        world.engines.ranks = {0}
        await pushed(world)


async def test_an_engine_that_has_just_become_ready_gets_the_current_map_again() -> None:
    async with World() as world:
        await world.join(0)
        await pushed(world)
        world.service.engine_ready()
        await pushed(world, 2)
        assert world.engines.maps[0] == world.engines.maps[1]


async def test_nothing_is_pushed_while_group_updates_are_paused() -> None:
    async with World() as world:
        await world.join(0)
        await pushed(world)
        await world.service.session.submit(
            lambda _db, _now: Decision(
                (SetAttributes({"mgmt.group_update_paused": "true"}), BumpMapVersion()), None
            )
        )
        world.service.engine_ready()
        await idle(world)
        assert world.engines.map_attempts == 1
        await world.join(0)
        assert "mgmt.group_update_paused" not in world.db.attributes
        await pushed(world, 2)


async def test_a_push_that_was_asked_for_and_failed_is_not_forgotten_although_the_map_is_known() -> None:
    async with World() as world:
        await world.join(0)
        await pushed(world)
        world.engines.map_statuses = [-1006]
        world.service.engine_ready()
        await pushed(world, 2)


async def test_a_reopened_service_pushes_its_map_without_waiting_for_a_change() -> None:
    async with World() as world:
        await world.join(0)
        kept = world.store.kept
    again = World()
    again.store.kept = kept
    async with again:
        await pushed(again)
        assert again.engines.maps[0].map_version == kept.map_version


async def test_a_service_that_closes_and_opens_again_pushes_anew() -> None:
    async with World() as world:
        await world.join(0)
        await pushed(world)
        await world.service.close()
        async with world:
            await pushed(world, 2)
