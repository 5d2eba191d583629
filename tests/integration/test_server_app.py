"""daos_server as a process: it starts, serves, restarts and stops; and says clearly why where it does not start."""

import os
import signal
import socket
from pathlib import Path

import pytest

from daos_control.client.connection import Client, ctl, mgmt
from daos_control.faults import Fault
from daos_control.proto.ctl import ranks_pb2, storage_pb2, support_pb2
from daos_control.proto.mgmt import system_pb2
from fakes.fake_server_process import ServerProcess, server

pytestmark = [pytest.mark.asyncio, pytest.mark.root]

FORMAT = ctl("StorageFormat", storage_pb2.StorageFormatReq, storage_pb2.StorageFormatResp)
STOP = ctl("StopRanks", ranks_pb2.RanksReq, ranks_pb2.RanksResp)
START = ctl("StartRanks", ranks_pb2.RanksReq, ranks_pb2.RanksResp)
COLLECT = ctl("CollectLog", support_pb2.CollectLogReq, support_pb2.CollectLogResp)
QUERY = mgmt("SystemQuery", system_pb2.SystemQueryReq, system_pb2.SystemQueryResp)


async def states(client: Client, address: str) -> dict[int, str]:
    reply = await client.call(address, QUERY, system_pb2.SystemQueryReq(sys=client.request_name), timeout=30)
    return {member.rank: member.state for member in reply.members}


async def joined(made: ServerProcess, count: int) -> None:
    await made.until_logged("is ready: rank", count)


def engine_pids(made: ServerProcess) -> set[int]:
    """Processes that run the fake engine of this server."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(made.path / "fake_engine").encode() in command:
                found.add(int(entry.name))
    return found


async def test_from_start_over_format_to_joined_and_again_after_a_restart(tmp_path: Path) -> None:
    async with server(tmp_path, 2) as made:
        made.start()
        await made.until_logged("format required on engine", 2)
        async with made.client() as client:
            reply = await client.call(made.address, FORMAT, storage_pb2.StorageFormatReq(), timeout=60)
            assert [mount.state.error for mount in reply.mrets] == ["", ""]
            await joined(made, 2)
            assert await states(client, made.address) == {0: "joined", 1: "joined"}
            with pytest.raises(Fault, match="CollectLog"):
                await client.call(made.address, COLLECT, support_pb2.CollectLogReq(), timeout=30)
        assert await made.stop() == 0
        assert engine_pids(made) == set()
        assert [p.name for p in made.sockets.glob("*.sock")] == []

        made.start()
        await joined(made, 4)
        async with made.client() as client:
            assert await states(client, made.address) == {0: "joined", 1: "joined"}
        assert await made.stop() == 0
        assert "format required" not in made.output().rpartition("listening on")[2]


async def test_ranks_stop_and_start_and_the_death_of_an_engine_is_recorded(tmp_path: Path) -> None:
    async with server(tmp_path, 2) as made:
        made.start("--auto-format")
        await joined(made, 2)
        async with made.client("server") as client:
            reply = await client.call(made.address, STOP, ranks_pb2.RanksReq(ranks="0-5"), timeout=60)
            assert [(r.rank, r.state, r.errored) for r in reply.results] == [
                (0, "stopped", False),
                (1, "stopped", False),
            ]
            assert engine_pids(made) == set()
            assert "engine_died" not in made.output()
            reply = await client.call(made.address, START, ranks_pb2.RanksReq(ranks="0-1"), timeout=60)
            assert [(r.rank, r.state) for r in reply.results] == [(0, "ready"), (1, "ready")]

            victim = min(engine_pids(made))
            os.kill(victim, signal.SIGKILL)
            await made.until_logged("&&& RAS id: [engine_died]")
            await made.until_logged("/mgmt.MgmtSvc", 1)
            found = await states(client, made.address)
            assert sorted(found.values()) == ["errored", "joined"]
        assert await made.stop() == 0


async def test_a_killed_server_takes_its_engines_with_it(tmp_path: Path) -> None:
    async with server(tmp_path) as made:
        made.start("--auto-format")
        await joined(made, 1)
        assert made.process is not None
        assert len(engine_pids(made)) == 1
        made.process.kill()
        await made.exit_status()
        made.process = None
        await made.until(lambda: engine_pids(made) == set(), "the end of the engine")
        made.start()
        await joined(made, 2)
        assert await made.stop() == 0


async def test_a_second_signal_kills_engines_that_do_not_stop(tmp_path: Path) -> None:
    async with server(tmp_path) as made:
        made.config["engines"][0]["env_vars"].append("FAKE_ENGINE=stubborn")
        made.start("--auto-format")
        await joined(made, 1)
        assert made.process is not None
        made.process.send_signal(signal.SIGINT)
        await made.until_logged("shutting down")
        made.process.send_signal(signal.SIGINT)
        assert await made.exit_status() == 0
        assert "did not stop within" not in made.output()
        assert engine_pids(made) == set()


async def test_systemd_is_told_and_the_files_of_the_socket_directory_have_their_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        async with server(tmp_path) as made:
            made.start()
            await made.until_logged("listening on")
            assert manager.recv(100) == b"READY=1"
            assert (made.sockets / "daos_server.sock").stat().st_mode & 0o777 == 0o600
            active = made.sockets / ".daos_server.active.yml"
            assert active.stat().st_mode & 0o777 == 0o644
            assert "scm_size: 4" in active.read_text()
            assert await made.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"


async def test_a_second_server_on_the_same_socket_directory_is_fault_6(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    async with server(tmp_path) as first, server(tmp_path / "second") as second:
        first.start()
        await first.until_logged("listening on")
        second.config["socket_dir"] = str(first.sockets)
        second.start()
        assert await second.exit_status() == 1
        assert "code = 6" in second.output()
        assert first.process is not None
        assert f"pid {first.process.pid}" in second.output()
        assert (first.sockets / "daos_server.sock").exists()
        assert await first.stop() == 0


async def test_a_port_in_use_is_a_clear_fault(tmp_path: Path) -> None:
    async with server(tmp_path) as made:
        with socket.create_server((made.host, made.port)):
            made.start()
            assert await made.exit_status() == 1
        assert f"cannot listen on {made.address}" in made.output()
        assert "resolution" in made.output()
        assert list(made.sockets.glob("*.sock")) == []


@pytest.mark.parametrize("explicit", [True, False])
async def test_a_missing_engine_program_is_told_before_anything_starts(
    tmp_path: Path, explicit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere/at/all")
    async with server(tmp_path) as made:
        made.config["daos_control"].pop("engine_binary")
        if explicit:
            made.config["daos_control"]["engine_binary"] = "/nowhere/daos_engine"
        made.start()
        assert await made.exit_status() == 1
        assert "daos_engine was not found" in made.output()
        assert "listening" not in made.output()
        assert "/nowhere" in made.output()


async def test_a_missing_socket_directory_is_a_clear_fault(tmp_path: Path) -> None:
    async with server(tmp_path) as made:
        made.config["socket_dir"] = str(tmp_path / "none")
        made.start()
        assert await made.exit_status() == 1
        assert f"mkdir -p {tmp_path / 'none'}" in made.output()


async def test_missing_certificates_keep_a_secure_server_from_starting(tmp_path: Path) -> None:
    async with server(tmp_path) as made:
        made.config["transport_config"] = {
            "ca_cert": str(tmp_path / "ca.crt"),
            "cert": str(tmp_path / "server.crt"),
            "key": str(tmp_path / "server.key"),
        }
        made.start()
        assert await made.exit_status() == 1
        assert "code = 901" in made.output()
