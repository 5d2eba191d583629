"""dmg as a process of its own, against a server on loopback."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from daos_control.faults import RemoteError
from daos_control.proto.ctl import network_pb2
from daos_control.proto.mgmt import pool_pb2, svc_pb2, system_pb2
from daos_control.security import certs
from daos_control.security.tls import Transport, server_credentials
from fake_control import FakeControl, fake_control

pytestmark = pytest.mark.asyncio

MEMBER = system_pb2.SystemMember(rank=0, state="joined", addr="127.0.0.1:10001", fault_domain="/vm")
QUERY = system_pb2.SystemQueryResp(
    members=[MEMBER], sys_self_heal_policy="exclude;pool_exclude;pool_rebuild", data_version=1
)


class Dmg:
    """The program with a configuration of its own."""

    def __init__(
        self, directory: Path, server: FakeControl | str, transport: str = "{allow_insecure: true}"
    ) -> None:
        address = server if isinstance(server, str) else server.address
        self._config = directory / "daos_control.yml"
        self._config.write_text(f"hostlist: ['{address}']\ntransport_config: {transport}\n")

    async def __call__(self, *args: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daos_control.cli.dmg",
            "-o",
            str(self._config),
            *args,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


async def test_query_prints_its_table_and_nothing_else(tmp_path: Path) -> None:
    async with fake_control({"SystemQuery": QUERY}) as server:
        result = await Dmg(tmp_path, server)("system", "query")
    assert result == (0, "Rank State  \n---- -----  \n0    Joined \n\n", "")


async def test_failure_is_told_with_its_cure_and_exit_code(tmp_path: Path) -> None:
    async with fake_control({"NetworkScan": network_pb2.NetworkScanResp()}) as server:
        address = server.address
    code, out, err = await Dmg(tmp_path, address)("system", "query")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first == (
        "ERROR: dmg: system query failed: client: code = 506 description = "
        f'"the server at {address} refused the connection": unable to contact the DAOS Management Service'
    )
    assert second.startswith("ERROR: dmg: client: code = 506 resolution = ")


async def test_log_file_has_what_was_said(tmp_path: Path) -> None:
    log = tmp_path / "dmg.log"
    async with fake_control({"ListPools": pool_pb2.ListPoolsResp()}) as server:
        code, out, _ = await Dmg(tmp_path, server)("--log-file", str(log), "pool", "list")
    assert (code, out) == (0, "No pools in system\n")
    assert log.read_text().endswith("No pools in system\n")


async def test_command_without_json_of_its_own_prints_the_empty_envelope(tmp_path: Path) -> None:
    async with fake_control({"PoolEvict": pool_pb2.PoolEvictResp()}) as server:
        code, out, err = await Dmg(tmp_path, server)("pool", "evict", "-j", "tank")
    assert (code, json.loads(out), err) == (0, {"response": None, "error": None, "status": 0}, "")


async def test_status_of_an_engine_is_in_the_json(tmp_path: Path) -> None:
    async with fake_control({"PoolEvict": pool_pb2.PoolEvictResp(status=-1012)}) as server:
        code, out, _ = await Dmg(tmp_path, server)("-j", "pool", "evict", "tank")
    assert (code, json.loads(out)["status"]) == (1, -1012)


async def test_wrong_configuration_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    dmg = Dmg(tmp_path, "127.0.0.1:1", "{allow_insecur: true}")
    code, out, err = await dmg("system", "query")
    assert (code, out) == (1, "")
    assert "failed to load control configuration" in err
    assert "allow_insecure" in err


async def test_server_version_is_printed_where_servers_tell_it(tmp_path: Path) -> None:
    info = svc_pb2.GetAttachInfoResp(build_info=svc_pb2.BuildInfo(major=2, minor=8, tag="v2.8.0"))
    async with fake_control({"GetAttachInfo": info}) as server:
        dmg = Dmg(tmp_path, server)
        text = await dmg("server-version")
        document = await dmg("-j", "server-version")
    assert text == (0, "DAOS Control Server version 2.8.0\n", "")
    assert json.loads(document[1])["response"] == {
        "name": "DAOS Control Server",
        "version": "2.8.0",
        "build_info": "v2.8.0",
    }


async def test_server_version_denied_to_administrators_says_what_to_do(tmp_path: Path) -> None:
    denied = RemoteError("PermissionDenied", "access denied for *mgmt.GetAttachInfoReq: admin")
    async with fake_control({"GetAttachInfo": denied}) as server:
        code, out, err = await Dmg(tmp_path, server)("server-version")
    assert (code, out) == (1, "")
    assert "agent" in err.splitlines()[0]
    assert "resolution" in err.splitlines()[1]


async def test_certificates_of_cert_init_make_a_system_that_trusts_itself(tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    code, out, err = await Dmg(tmp_path, "127.0.0.1:1")("cert", "init", str(directory))
    assert (code, err) == (0, "")
    assert str(directory / "daosCA.crt") in out.splitlines()
    again, _, refused = await Dmg(tmp_path, "127.0.0.1:1")("cert", "init", str(directory))
    assert again == 1
    assert "keys are never replaced" in refused
    transport = Transport(
        ca_cert=directory / "daosCA.crt",
        cert=directory / "server.crt",
        key=directory / "server.key",
        client_cert_dir=directory / "clients",
    )
    async with fake_control({"SystemQuery": QUERY}, server_credentials(transport)) as server:
        files = f"{{ca_cert: {directory}/daosCA.crt, cert: {directory}/admin.crt, key: {directory}/admin.key}}"
        secure = await Dmg(tmp_path, server, files)("system", "query")
        (plain, _, plain_err) = await Dmg(tmp_path, server)("system", "query")
    assert secure[0] == 0
    assert plain == 1
    assert "code = 507" in plain_err


async def test_missing_certificate_is_named(tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    certs.init(directory, days=1)
    files = f"{{ca_cert: {directory}/daosCA.crt, cert: {directory}/none.crt, key: {directory}/admin.key}}"
    code, _, err = await Dmg(tmp_path, "127.0.0.1:1", files)("system", "query")
    assert code == 1
    assert "Unable to load Certificate Data: security: code = 901" in err
    assert f"{directory}/none.crt" in err


async def test_long_wait_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    shown = asyncio.Event()

    async def answer(_request: object) -> system_pb2.SystemQueryResp:
        await asyncio.wait_for(shown.wait(), 20)
        return QUERY

    async with fake_control({"SystemQuery": answer}) as server:
        dmg = Dmg(tmp_path, server)
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "daos_control.cli.dmg", "-o", str(dmg._config), "system", "query"),
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(theirs)
        loop = asyncio.get_running_loop()
        said = b""
        while b"Waiting for the servers" not in said:
            said += await asyncio.wait_for(loop.run_in_executor(None, os.read, ours, 4096), 20)
        shown.set()
        rest = b""
        while b"Joined" not in rest:
            rest += await asyncio.wait_for(loop.run_in_executor(None, os.read, ours, 4096), 20)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        os.close(ours)


async def test_debug_tells_each_call(tmp_path: Path) -> None:
    async with fake_control({"SystemQuery": QUERY}) as server:
        code, out, err = await Dmg(tmp_path, server)("system", "query", "-d")
        assert (code, out.splitlines()[0]) == (0, "Rank State  ")
        assert f"SystemQuery to {server.address}" in err


async def test_output_into_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    async with fake_control({"SystemQuery": QUERY}) as server:
        dmg = Dmg(tmp_path, server)
        command = f"{sys.executable} -m daos_control.cli.dmg -o {dmg._config} system query | true"
        process = await asyncio.create_subprocess_shell(command, stderr=asyncio.subprocess.PIPE)
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert err == b""
