"""GetAttachInfo answers from memory, with one encoding per state of the system."""

from typing import Any

import pytest

from daos_control.faults import ControlError
from daos_control.ms.settings import ClientNetHint
from daos_control.proto.mgmt import svc_pb2
from fakes_ms import SYS, World, create_request, pool_uuid

pytestmark = pytest.mark.asyncio


async def ask(world: World, all_ranks: bool) -> Any:
    return await world.call("GetAttachInfo", svc_pb2.GetAttachInfoReq(sys=SYS, all_ranks=all_ranks))


async def test_the_reply_has_all_ranks_or_those_of_the_replicas() -> None:
    async with World() as world:
        for n in range(3):
            await world.join(n)
        everybody, replicas = await ask(world, True), await ask(world, False)
        assert [(r.rank, r.uri, r.num_ctxs) for r in everybody.rank_uris] == [
            (n, f"ofi+tcp://10.0.0.{n}:31416", 3) for n in range(3)
        ]
        assert [r.rank for r in replicas.rank_uris] == [0]
        assert list(everybody.ms_ranks) == list(replicas.ms_ranks) == [0]
        assert everybody.sys == "daos_server"
        assert everybody.data_version == world.db.version
        assert (everybody.build_info.major, everybody.build_info.minor, everybody.build_info.patch) == (2, 8, 0)
        hint = everybody.client_net_hint
        assert (hint.provider, hint.net_dev_class, list(hint.env_vars)) == ("ofi+tcp", 1, ["A=1"])


async def test_the_encoded_reply_is_made_once_and_again_after_a_change() -> None:
    async with World() as world:
        await world.join(0)
        info = world.service._attach_info
        first = await ask(world, True)
        assert await ask(world, True) is first
        assert info.encode(first) is info.encode(first)
        assert info.encode(first) == first.SerializeToString()
        assert info.built == 1
        await world.join(1)
        second = await ask(world, True)
        assert len(second.rank_uris) == 2
        assert info.encode(second) == second.SerializeToString()
        assert info.encode(first) == first.SerializeToString()
        assert info.built == 2


async def test_a_change_of_pools_alone_raises_the_data_version_that_is_told() -> None:
    async with World() as world:
        await world.join(0)
        before = (await ask(world, True)).data_version
        await world.call("PoolCreate", create_request(pool_uuid(1), "tank"))
        assert (await ask(world, True)).data_version == world.db.version > before


async def test_secondary_providers_need_a_hint_each() -> None:
    hints = (ClientNetHint("ofi+tcp"), ClientNetHint("ofi+verbs", provider_index=1))
    second = {"secondary_uris": ["ofi+verbs://10.1.0.0:1"], "secondary_nctxs": [5]}
    async with World(client_net_hints=hints) as world:
        await world.join(0, **second)
        reply = await ask(world, True)
        (uri,) = reply.secondary_rank_uris
        assert (uri.rank, uri.uri, uri.provider_idx, uri.num_ctxs) == (0, "ofi+verbs://10.1.0.0:1", 1, 5)
        assert [h.provider_idx for h in reply.secondary_client_net_hints] == [1]
    async with World() as world:
        await world.join(0, **second)
        with pytest.raises(ControlError, match="not enough client network hints"):
            await ask(world, True)
    async with World(client_net_hints=()) as world:
        with pytest.raises(ControlError, match="clientNetworkHint is missing"):
            await ask(world, True)
