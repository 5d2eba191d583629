"""The embedded engine as a process: start, what it refuses, rank and set-up, stop."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from daos_control.drpc import DrpcStatus, DrpcStatusError, Method
from daos_control.faults.status import Status
from daos_control.proto.ctl import server_pb2
from daos_control.proto.mgmt import pool_pb2, svc_pb2
from integration.engine_support import (
    FAST_SWIM,
    EngineProcess,
    SmallServer,
    create_request,
    free_port,
    group_map,
    until,
)

pytestmark = pytest.mark.asyncio

Engines = Callable[..., EngineProcess]


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmallServer]:
    async with SmallServer(tmp_path) as small:
        yield small


@pytest.fixture
def engines(server: SmallServer, tmp_path: Path) -> Iterator[Engines]:
    made: list[EngineProcess] = []

    def make(**options: object) -> EngineProcess:
        storage = tmp_path / f"scm{len(made)}"
        storage.mkdir()
        made.append(EngineProcess(server, storage, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.clean_up()


async def test_a_start_announces_a_listening_engine(server: SmallServer, engines: Engines) -> None:
    port = free_port()
    engine = engines(targets=3, environment={"D_PORT": str(port)}, arguments=("-I", "1", "-C"))
    await engine.start()
    ready = engine.ready
    assert ready.uri == f"ofi+tcp://127.0.0.1:{port}"
    assert (ready.nctxs, ready.ntgts, ready.instanceIdx, ready.check_mode) == (5, 3, 1, True)
    assert ready.drpcListenerSock == str(engine.socket)
    assert engine.socket.is_socket()
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    assert (await engine.call(Method.PING_RANK)).status == 0


async def test_incarnations_grow_with_each_start(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    first = engine.ready.incarnation
    await engine.kill()
    await engine.start()
    assert engine.ready.incarnation > first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(engines: Engines, number: signal.Signals) -> None:
    engine = engines()
    await engine.start()
    await engine.join(0)
    path = engine.socket
    engine.running.send_signal(number)
    assert await engine.wait() == 0
    assert not path.exists()


async def test_a_signal_ends_a_start_that_nobody_answers(server: SmallServer, engines: Engines) -> None:
    await server.__aexit__()
    engine = engines()
    engine.launch()
    await until(engine.socket.is_socket, "the engine listens")
    assert await engine.stop() == 0
    assert not engine.socket.exists()


async def test_without_a_server_it_gives_up(server: SmallServer, engines: Engines) -> None:
    await server.__aexit__()
    engine = engines(environment={"DAOS_EMBEDDED_NOTIFY_MS": "300"})
    engine.launch()
    _, error = await engine.output()
    assert engine.running.returncode == 1
    assert "no server answers NotifyReady" in error
    assert str(server.directory / "daos_server.sock") in error
    assert len(error.splitlines()) == 1


async def test_a_refused_engine_ends(server: SmallServer, engines: Engines) -> None:
    server.refuse_ready = True
    engine = engines()
    engine.launch()
    _, error = await engine.output()
    assert (engine.running.returncode, len(error.splitlines())) == (1, 1)
    assert "refused NotifyReady" in error


async def test_a_port_in_use_ends_the_start(engines: Engines) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        engine = engines(environment={"D_PORT": str(port)})
        engine.launch()
        _, error = await engine.output()
    assert engine.running.returncode == 1
    assert f"127.0.0.1:{port}" in error
    assert "in use" in error


async def test_a_missing_storage_directory_ends_the_start(engines: Engines) -> None:
    engine = engines()
    engine.storage.rmdir()
    engine.launch()
    _, error = await engine.output()
    assert engine.running.returncode == 1
    assert f"{engine.storage} is missing" in error


async def test_an_unknown_interface_ends_the_start(engines: Engines) -> None:
    engine = engines(environment={"D_INTERFACE": "nosuch0"})
    engine.launch()
    _, error = await engine.output()
    assert (engine.running.returncode, "nosuch0" in error) == (1, True)


async def test_two_engines_do_not_share_a_storage_directory(server: SmallServer, engines: Engines) -> None:
    first = engines()
    await first.start()
    second = EngineProcess(server, first.storage)
    try:
        second.launch()
        _, error = await second.output()
        assert second.running.returncode == 1
        assert "in use by another engine" in error
    finally:
        second.clean_up()


@pytest.mark.parametrize(("argument", "status", "channel"), [("--help", 0, "stdout"), ("--nonsense", 1, "stderr")])
async def test_the_command_line_is_explained(argument: str, status: int, channel: str) -> None:
    found = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "daos_control.engine.main", argument],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert found.returncode == status
    assert "daos_engine_embedded" in getattr(found, channel)


async def test_set_up_before_the_rank_is_a_protocol_error_and_nothing_breaks(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    assert (await engine.call(Method.SET_UP)).status == Status.PROTO
    await engine.join(0)


async def test_a_rank_is_set_once(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    await engine.join(3)
    reply = await engine.call(Method.SET_RANK, svc_pb2.SetRankReq(rank=4, map_version=1))
    assert reply.status == Status.INVAL


async def test_a_second_set_up_changes_nothing(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    await engine.join(0)
    assert (await engine.call(Method.SET_UP)).status == 0
    assert (await engine.call(Method.PING_RANK)).status == 0


async def test_pools_are_not_served_before_set_up_nor_in_check_mode(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    assert (await engine.call(Method.POOL_CREATE, create_request([0]))).status == Status.AGAIN
    checking = engines(arguments=("-C",))
    await checking.start()
    await checking.join(1)
    query = pool_pb2.PoolQueryReq(id=create_request([0]).uuid, svc_ranks=[1])
    assert (await checking.call(Method.POOL_QUERY, query)).status == Status.NOTAPPLICABLE


async def test_a_stale_group_map_is_ignored(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    await engine.join(0, map_version=4)
    assert (await engine.call(Method.GROUP_UPDATE, group_map([engine], 5))).status == 0
    stranger = svc_pb2.GroupUpdateReq(map_version=5)
    stranger.engines.add(rank=9, uri="ofi+tcp://127.0.0.1:1", incarnation=1)
    assert (await engine.call(Method.GROUP_UPDATE, stranger)).status == 0
    stranger.map_version = 3
    assert (await engine.call(Method.GROUP_UPDATE, stranger)).status == 0
    assert (await engine.call(Method.PING_RANK)).status == 0


async def test_a_group_map_without_its_rank_makes_it_say_so_and_kill_itself(
    server: SmallServer, engines: Engines
) -> None:
    engine = engines()
    await engine.start()
    await engine.join(2)
    await engine.call(Method.GROUP_UPDATE, group_map([engine], 2))
    stranger = svc_pb2.GroupUpdateReq(map_version=3)
    stranger.engines.add(rank=9, uri="ofi+tcp://127.0.0.1:1", incarnation=1)
    call = asyncio.create_task(engine.call(Method.GROUP_UPDATE, stranger))
    assert await engine.wait() == -signal.SIGKILL
    await asyncio.wait([call])
    assert isinstance(call.exception(), Exception)
    event = await server.event(lambda event: event.id == 5)
    assert (event.rank, event.incarnation, event.type) == (2, engine.ready.incarnation, 2)


async def test_log_masks_change_what_is_logged(engines: Engines) -> None:
    engine = engines(environment={"D_LOG_MASK": "ERR"})
    await engine.start()
    await engine.join(0)
    log = engine.server.directory / f"engine-{engine.storage.name}.log"
    assert log.read_text() == ""
    reply = await engine.call(Method.SET_LOG_MASKS, server_pb2.SetLogMasksReq(masks="INFO"))
    assert reply.status == 0
    assert "log masks are now INFO" in log.read_text()


async def test_unknown_methods_are_answered_as_unknown(engines: Engines) -> None:
    engine = engines()
    await engine.start()
    with pytest.raises(DrpcStatusError) as caught:
        await engine.call(Method.POOL_EXTEND, pool_pb2.PoolExtendReq())
    assert caught.value.status == DrpcStatus.UNKNOWN_METHOD


async def test_devices_of_an_engine_without_any_are_an_empty_list(engines: Engines) -> None:
    engine = engines(environment=dict(FAST_SWIM))
    await engine.start()
    await engine.join(0)
    assert len((await engine.call(Method.SMD_LIST_DEVS)).devices) == 0
    assert (await engine.call(Method.BIO_HEALTH_QUERY)).status == Status.NONEXIST
