"""Pools of one embedded engine: real space, durable state, nothing left behind, whatever kills it."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from daos_control.drpc import Method
from daos_control.faults.status import Status
from daos_control.proto.ctl import smd_pb2
from daos_control.proto.mgmt import acl_pb2, pool_pb2, svc_pb2
from integration.engine_support import (
    MIB,
    EngineProcess,
    SmallServer,
    create_request,
    files_under,
    group_map,
    sparse_file,
    until,
    used_bytes,
)

pytestmark = pytest.mark.asyncio

# As DAOS's server asks for a pool: everything but the lists of enabled and dead ranks.
QUERY_MASK = 18446744073709551595
CLUSTER = 4 * MIB


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmallServer]:
    async with SmallServer(tmp_path) as small:
        yield small


@pytest.fixture
def engine(server: SmallServer, tmp_path: Path) -> Iterator[EngineProcess]:
    storage = tmp_path / "scm"
    storage.mkdir()
    engine = EngineProcess(server, storage)
    yield engine
    engine.clean_up()


@pytest.fixture
def bdev(engine: EngineProcess, tmp_path: Path) -> Path:
    """A device file of 16 clusters that the engine is given."""
    path = sparse_file(tmp_path / "bdev", 16 * CLUSTER)
    call = {
        "params": {"block_size": 4096, "name": "AIO_h_0_1_0", "filename": str(path)},
        "method": "bdev_aio_create",
    }
    config = tmp_path / "daos_nvme.conf"
    config.write_text(json.dumps({"subsystems": [{"subsystem": "bdev", "config": [call]}]}))
    engine.arguments = ("-n", str(config), "-T", "2")
    return path


@pytest.fixture
def tmpfs(engine: EngineProcess) -> Iterator[Callable[[Path, int], None]]:
    """Mounts small file systems in memory, sizes in MiB; they go away after the engine."""
    mounted: list[Path] = []

    def mount(path: Path, size: int) -> None:
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", path], check=True)
        mounted.append(path)

    yield mount
    engine.clean_up()
    for path in mounted:
        subprocess.run(["umount", path], check=True)


def replace_in(path: str, old: str, new: str) -> None:
    Path(path).write_text(Path(path).read_text().replace(old, new))


async def begin(engine: EngineProcess, map_version: int = 2, **extra: str) -> None:
    await engine.start(**extra)
    await engine.join(0)
    assert (await engine.call(Method.GROUP_UPDATE, group_map([engine], map_version))).status == 0


async def query(engine: EngineProcess, uuid: str, mask: int = QUERY_MASK) -> Any:
    return await engine.call(Method.POOL_QUERY, pool_pb2.PoolQueryReq(id=uuid, svc_ranks=[0], query_mask=mask))


async def test_the_conversation_of_a_pool_goes_as_with_daos(server: SmallServer, engine: EngineProcess) -> None:
    await begin(engine)
    request = create_request([0], fault_domains=[0, 2, 1, 1, 1, 2, 1, 0])
    request.properties.add(number=16, numval=0)
    created = await engine.call(Method.POOL_CREATE, request)
    assert created == pool_pb2.PoolCreateResp(
        svc_reps=[0], tgt_ranks=[0], tier_bytes=[8 * MIB, 0], mem_file_bytes=8 * MIB
    )
    [asked] = server.property_requests
    assert (asked.sys, list(asked.keys)) == ("daos_server", ["self_heal"])
    event = await server.event(lambda event: event.id == 10)
    assert (event.type, event.severity, event.rank, event.pool_uuid) == (1, 3, 0, request.uuid)
    assert (list(event.pool_svc_info.svc_reps), event.pool_svc_info.version) == ([0], 1)

    found = await query(engine, request.uuid)
    free = 8 * MIB - 2 * 4096
    scm = pool_pb2.StorageUsageStats(total=8 * MIB, free=free, min=free // 2, max=free // 2, mean=free // 2)
    assert found == pool_pb2.PoolQueryResp(
        uuid=request.uuid,
        total_targets=2,
        active_targets=2,
        rebuild=pool_pb2.PoolRebuildStatus(state=pool_pb2.PoolRebuildStatus.IDLE),
        tier_stats=[scm, pool_pb2.StorageUsageStats(media_type=pool_pb2.NVME)],
        version=1,
        disabled_ranks="[]",
        total_engines=1,
        pool_layout_ver=4,
        upgrade_layout_ver=4,
        svc_reps=[0],
        query_mask=QUERY_MASK,
        mem_file_bytes=8 * MIB,
    )
    name = {"id": request.uuid, "svc_ranks": [0]}
    get = pool_pb2.PoolGetPropReq(**name, properties=[pool_pb2.PoolProperty(number=4)])
    reply = await engine.call(Method.POOL_GET_PROP, get)
    assert reply.properties == [pool_pb2.PoolProperty(number=4, numval=3)]
    change = pool_pb2.PoolSetPropReq(**name, properties=[pool_pb2.PoolProperty(number=5, numval=0)])
    assert (await engine.call(Method.POOL_SET_PROP, change)).status == 0
    assert len((await engine.call(Method.LIST_CONTAINERS, pool_pb2.ListContReq(**name))).containers) == 0
    evicted = await engine.call(Method.POOL_EVICT, pool_pb2.PoolEvictReq(**name, destroy=True))
    assert evicted == pool_pb2.PoolEvictResp()
    assert (await engine.call(Method.POOL_DESTROY, pool_pb2.PoolDestroyReq(**name, recursive=True))).status == 0
    assert (await query(engine, request.uuid)).status == Status.NONEXIST


async def test_a_mask_asks_for_no_more_than_it_says(engine: EngineProcess) -> None:
    await begin(engine)
    request = create_request([0])
    await engine.call(Method.POOL_CREATE, request)
    bare = await query(engine, request.uuid, mask=0)
    assert (bare.enabled_ranks, bare.disabled_ranks, bare.dead_ranks) == ("", "", "")
    assert (bare.tier_stats[0].total, bare.mem_file_bytes, bare.total_targets) == (0, 0, 2)
    lists = await query(engine, request.uuid, mask=0x1C)
    assert (lists.enabled_ranks, lists.disabled_ranks, lists.dead_ranks) == ("[0]", "[]", "[]")


async def test_state_survives_a_kill(engine: EngineProcess, bdev: Path) -> None:
    await begin(engine)
    request = create_request([0], nvme=4 * CLUSTER, acl=["A::OWNER@:rw"])
    assert (await engine.call(Method.POOL_CREATE, request)).tier_bytes == [8 * MIB, 4 * CLUSTER]
    assert used_bytes(bdev) >= 4 * CLUSTER
    name = {"id": request.uuid, "svc_ranks": [0]}
    change = pool_pb2.PoolSetPropReq(**name, properties=[pool_pb2.PoolProperty(number=3, numval=7)])
    assert (await engine.call(Method.POOL_SET_PROP, change)).status == 0
    acl = await engine.call(Method.POOL_UPDATE_ACL, acl_pb2.ModifyACLReq(**name, entries=["A::EVERYONE@:r"]))
    before = await query(engine, request.uuid)
    await engine.kill()
    await begin(engine)
    assert await query(engine, request.uuid) == before
    assert before.tier_stats[1].total == 4 * CLUSTER
    get = pool_pb2.PoolGetPropReq(**name, properties=[pool_pb2.PoolProperty(number=number) for number in (1, 3, 6)])
    reply = await engine.call(Method.POOL_GET_PROP, get)
    assert [item.strval or item.numval for item in reply.properties] == ["tank", 7, "root@"]
    found = await engine.call(Method.POOL_GET_ACL, acl_pb2.GetACLReq(**name))
    assert found == acl
    assert list(found.acl.entries) == ["A::OWNER@:rw", "A::EVERYONE@:r"]
    [device] = (await engine.call(Method.SMD_LIST_DEVS)).devices
    assert (device.total_bytes, device.avail_bytes, list(device.tgt_ids)) == (16 * CLUSTER, 12 * CLUSTER, [0, 1])
    health = await engine.call(Method.BIO_HEALTH_QUERY, smd_pb2.BioHealthReq(dev_uuid=device.uuid))
    assert (health.avail_bytes, health.cluster_size) == (12 * CLUSTER, device.cluster_size)
    [pool] = (await engine.call(Method.SMD_LIST_POOLS)).pools
    assert (pool.uuid, list(pool.tgt_ids)) == (request.uuid, [0, 1])


async def test_the_led_of_a_file_is_said_to_be_no_led(engine: EngineProcess, bdev: Path) -> None:
    await begin(engine)
    [device] = (await engine.call(Method.SMD_LIST_DEVS)).devices
    for name in (device.uuid, str(bdev)):
        for action in (smd_pb2.GET, smd_pb2.SET, smd_pb2.RESET):
            reply = await engine.call(Method.LED_MANAGE, smd_pb2.LedManageReq(ids=name, led_action=action))
            assert (reply.status, reply.device.uuid) == (Status.NOSYS, device.uuid)
            assert (reply.device.ctrlr.pci_addr, reply.device.ctrlr.led_state) == (str(bdev), smd_pb2.NA)
    unknown = await engine.call(Method.LED_MANAGE, smd_pb2.LedManageReq(ids="0000:81:00.0"))
    assert (unknown.status, unknown.HasField("device")) == (Status.NONEXIST, False)
    assert (await engine.call(Method.LED_MANAGE, smd_pb2.LedManageReq())).status == Status.INVAL


async def test_containers_of_a_pool_are_listed(engine: EngineProcess) -> None:
    await begin(engine)
    request = create_request([0])
    await engine.call(Method.POOL_CREATE, request)
    container = create_request([0]).uuid
    (engine.storage / request.uuid / "containers" / container).mkdir(parents=True)
    reply = await engine.call(Method.LIST_CONTAINERS, pool_pb2.ListContReq(id=request.uuid, svc_ranks=[0]))
    assert [found.uuid for found in reply.containers] == [container]


async def test_single_targets_are_told(engine: EngineProcess) -> None:
    await begin(engine)
    request = create_request([0])
    await engine.call(Method.POOL_CREATE, request)
    ask = pool_pb2.PoolQueryTargetReq(id=request.uuid, rank=0, targets=[1], svc_ranks=[0])
    [info] = (await engine.call(Method.POOL_QUERY_TARGETS, ask)).infos
    assert info.state == pool_pb2.PoolQueryTargetInfo.UP_IN
    assert (info.space[0].total, info.space[0].free) == (4 * MIB, 4 * MIB - 4096)
    ask.targets[0] = 2
    assert (await engine.call(Method.POOL_QUERY_TARGETS, ask)).status == Status.NONEXIST


async def test_targets_leave_and_come_back(engine: EngineProcess) -> None:
    await begin(engine)
    request = create_request([0])
    await engine.call(Method.POOL_CREATE, request)
    name = {"id": request.uuid, "svc_ranks": [0], "rank": 0}
    assert (await engine.call(Method.POOL_EXCLUDE, pool_pb2.PoolExcludeReq(**name, target_idx=[1]))).status == 0
    found = await query(engine, request.uuid)
    assert (found.version, found.disabled_targets, found.active_targets, found.disabled_ranks) == (2, 1, 1, "[0]")
    assert found.tier_stats[0].total == 4 * MIB
    assert (await engine.call(Method.POOL_REINTEGRATE, pool_pb2.PoolReintReq(**name))).status == 0
    found = await query(engine, request.uuid)
    assert (found.version, found.disabled_targets, found.disabled_ranks) == (3, 0, "[]")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"uuid": "tank"}, Status.INVAL),
        ({"tier_bytes": [8 * MIB]}, Status.INVAL),
        ({"tier_bytes": [4096, 0]}, Status.INVAL),
        ({"ranks": []}, Status.INVAL),
        ({"ranks": [0, 0]}, Status.INVAL),
        ({"ranks": [0, 7]}, Status.OOG),
        ({"acl": ["A::nobody:rw"]}, Status.INVAL),
        ({"properties": [pool_pb2.PoolProperty(number=77, numval=1)]}, Status.INVAL),
        ({"properties": [pool_pb2.PoolProperty(number=3)]}, Status.INVAL),
        ({"num_svc_reps": 11}, Status.INVAL),
        ({"fault_domains": [0, 2, 1]}, Status.INVAL),
        ({"tier_bytes": [8 * MIB, CLUSTER]}, Status.NOSPACE),
        ({"tier_bytes": [1 << 50, 0]}, Status.NOSPACE),
    ],
)
async def test_a_pool_that_cannot_be_made_leaves_nothing(
    engine: EngineProcess, change: dict[str, Any], status: int
) -> None:
    await begin(engine)
    before = files_under(engine.storage)
    good = create_request([0])
    fields = {"uuid": good.uuid, "ranks": [0], "tier_bytes": [8 * MIB, 0]} | change
    assert (await engine.call(Method.POOL_CREATE, pool_pb2.PoolCreateReq(**fields))).status == status
    assert files_under(engine.storage) == before
    assert (await engine.call(Method.POOL_CREATE, good)).status == 0


async def test_a_pool_is_made_once(engine: EngineProcess) -> None:
    await begin(engine)
    request = create_request([0])
    assert (await engine.call(Method.POOL_CREATE, request)).status == 0
    assert (await engine.call(Method.POOL_CREATE, request)).status == Status.EXIST
    assert (await query(engine, request.uuid)).status == 0


async def test_a_pool_needs_the_system_properties_and_leaves_nothing_without(
    server: SmallServer, engine: EngineProcess
) -> None:
    await begin(engine)
    before = files_under(engine.storage)
    server.refuse_properties = True
    assert (await engine.call(Method.POOL_CREATE, create_request([0]))).status == Status.PROTO
    assert files_under(engine.storage) == before


async def test_destroying_what_is_not_there_is_fine(engine: EngineProcess) -> None:
    await begin(engine)
    uuid = create_request([0]).uuid
    assert (await engine.call(Method.POOL_DESTROY, pool_pb2.PoolDestroyReq(id=uuid, svc_ranks=[0]))).status == 0
    for method, request in (
        (Method.POOL_EVICT, pool_pb2.PoolEvictReq(id=uuid, svc_ranks=[0])),
        (Method.POOL_QUERY, pool_pb2.PoolQueryReq(id=uuid)),
        (Method.LIST_CONTAINERS, pool_pb2.ListContReq(id=uuid, svc_ranks=[0])),
    ):
        assert (await engine.call(method, request)).status == Status.NONEXIST
    assert (await engine.call(Method.POOL_QUERY, pool_pb2.PoolQueryReq(id="x"))).status == Status.INVAL


CREATION_STEPS = ["extents-taken", "newborn-made", "targets-allocated", "shard-staged", "shard-made"]
CREATION_STEPS += ["service-written", "service-made"]


@pytest.mark.parametrize("step", CREATION_STEPS)
async def test_a_kill_while_a_pool_is_made_leaves_nothing_after_the_restart(
    engine: EngineProcess, bdev: Path, step: str
) -> None:
    await begin(engine, DAOS_EMBEDDED_CRASH_AT=step)
    before = files_under(engine.storage)
    request = create_request([0], nvme=4 * CLUSTER)
    with pytest.raises(Exception, match=r"\w"):
        await engine.call(Method.POOL_CREATE, request)
    assert await engine.wait() == -9
    await begin(engine)

    async def clean() -> bool:
        [device] = (await engine.call(Method.SMD_LIST_DEVS)).devices
        return device.avail_bytes == 16 * CLUSTER and files_under(engine.storage) == before

    await until(clean, "nothing is left")
    assert (await query(engine, request.uuid)).status == Status.NONEXIST
    assert (await engine.call(Method.POOL_CREATE, request)).status == 0


async def test_a_kill_after_the_decision_leaves_a_whole_pool(engine: EngineProcess) -> None:
    await begin(engine, DAOS_EMBEDDED_CRASH_AT="shard-committed")
    request = create_request([0])
    with pytest.raises(Exception, match=r"\w"):
        await engine.call(Method.POOL_CREATE, request)
    assert await engine.wait() == -9
    await begin(engine)
    assert (await query(engine, request.uuid)).tier_stats[0].total == 8 * MIB


async def test_a_kill_while_a_pool_is_removed_leaves_nothing_after_the_restart(
    engine: EngineProcess, bdev: Path
) -> None:
    await begin(engine, DAOS_EMBEDDED_CRASH_AT="shard-renamed-away")
    before = files_under(engine.storage)
    request = create_request([0], nvme=4 * CLUSTER)
    assert (await engine.call(Method.POOL_CREATE, request)).status == 0
    with pytest.raises(Exception, match=r"\w"):
        await engine.call(Method.POOL_DESTROY, pool_pb2.PoolDestroyReq(id=request.uuid, svc_ranks=[0]))
    assert await engine.wait() == -9
    await begin(engine)
    [device] = (await engine.call(Method.SMD_LIST_DEVS)).devices
    assert device.avail_bytes == 16 * CLUSTER
    assert files_under(engine.storage) == before


@pytest.mark.root
async def test_a_full_file_system_answers_no_space_and_leaves_nothing(
    engine: EngineProcess, tmpfs: Callable[[Path, int], None]
) -> None:
    tmpfs(engine.storage, 24)
    await begin(engine)
    before = files_under(engine.storage)
    first, second = create_request([0], scm=16 * MIB), create_request([0], scm=16 * MIB)
    assert (await engine.call(Method.POOL_CREATE, first)).status == 0
    assert (await engine.call(Method.POOL_CREATE, second)).status == Status.NOSPACE
    destroy = pool_pb2.PoolDestroyReq(id=first.uuid, svc_ranks=[0])
    assert (await engine.call(Method.POOL_DESTROY, destroy)).status == 0
    assert files_under(engine.storage) == before
    assert (await engine.call(Method.POOL_CREATE, second)).status == 0


@pytest.mark.root
async def test_a_device_file_whose_file_system_is_full_answers_no_space(
    engine: EngineProcess, bdev: Path, tmp_path: Path, tmpfs: Callable[[Path, int], None]
) -> None:
    """The sparse device has free clusters, but the file system below it has no blocks for them."""
    tmpfs(tmp_path / "small", 12)
    moved = sparse_file(tmp_path / "small" / "bdev", 16 * CLUSTER)
    replace_in(engine.arguments[1], str(bdev), str(moved))
    await begin(engine)
    before = files_under(engine.storage)
    reply = await engine.call(Method.POOL_CREATE, create_request([0], nvme=8 * CLUSTER))
    assert reply.status == Status.NOSPACE
    assert files_under(engine.storage) == before
    assert used_bytes(moved) == 0
    assert (await engine.call(Method.POOL_CREATE, create_request([0], nvme=2 * CLUSTER))).status == 0


async def test_set_rank_needs_a_version_of_the_group_map(engine: EngineProcess) -> None:
    await engine.start()
    assert (await engine.call(Method.SET_RANK, svc_pb2.SetRankReq(rank=0))).status == Status.INVAL
    await engine.join(0)
