"""The helper as a process: what it answers, whom it serves, and what becomes of one that misbehaves."""

import asyncio
import json
import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.helper import app, protocol
from daos_control.storage.helper.protocol import PingReply, Request
from daos_control.storage.helper_client import HelperClient
from daos_control.version import PRODUCT_VERSION

OWN = [sys.executable, "-I", "-m", "daos_control.cli.helper"]


def fake(tmp_path: Path, body: str) -> HelperClient:
    """A client of a helper that does something else."""
    program = tmp_path / "daos_server_helper"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return HelperClient(program, limit_s=5)


@pytest.mark.root
@pytest.mark.asyncio
async def test_the_helper_of_this_installation_answers_and_is_of_our_version() -> None:
    client = HelperClient()
    await client.check()
    assert await client.call(Request()) == PingReply(PRODUCT_VERSION, "daos_server_helper")


@pytest.mark.root
def test_the_helper_imports_nothing_heavy() -> None:
    heavy = "('grpc', 'pydantic', 'yaml', 'asyncio', 'uuid')"
    code = f"import sys, daos_control.cli.helper; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("kill -9 $$", Code.PRIVILEGED_HELPER_REQUEST_FAILED, "killed by signal 9"),
        ("exit 3", Code.PRIVILEGED_HELPER_REQUEST_FAILED, "ended with code 3"),
        ("cat >/dev/null; echo garbage", Code.PRIVILEGED_HELPER_REQUEST_FAILED, "no reply"),
        ('cat >/dev/null; echo \'{"Error": 1, "Payload": 2}\'', Code.PRIVILEGED_HELPER_REQUEST_FAILED, "no reply"),
        ("head -c 3000000 /dev/zero", Code.PRIVILEGED_HELPER_REQUEST_FAILED, "no reply"),
        (
            """echo '{"Error":null,"Payload":{"Version":"0.0.1","AppName":"daos_server_helper"}}'""",
            Code.PRIVILEGED_HELPER_REQUEST_FAILED,
            "version 0.0.1",
        ),
    ],
)
@pytest.mark.root
@pytest.mark.asyncio
async def test_a_helper_that_misbehaves_becomes_a_fault(tmp_path: Path, body: str, code: Code, says: str) -> None:
    with pytest.raises(Fault, match=says) as caught:
        await fake(tmp_path, body).check()
    assert caught.value.code == code


@pytest.mark.root
@pytest.mark.asyncio
async def test_a_helper_that_cannot_be_run_is_fault_4(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    for program in (tmp_path / "missing", tmp_path / "data"):
        with pytest.raises(Fault) as caught:
            await HelperClient(program).check()
        assert caught.value.code == Code.PRIVILEGED_HELPER_NOT_AVAILABLE


@pytest.mark.root
@pytest.mark.asyncio
async def test_a_helper_that_hangs_is_killed_with_what_it_runs(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    client = fake(tmp_path, f"sleep 600 & echo $$ $! >{pids}; wait")
    began = time.monotonic()
    task = asyncio.create_task(HelperClient(client._binary, limit_s=0.5).check())
    with pytest.raises(Fault, match=r"did not finish Ping within 0\.5 s") as caught:
        await task
    assert caught.value.code == Code.PRIVILEGED_HELPER_REQUEST_FAILED
    assert time.monotonic() - began < 5
    for pid in pids.read_text().split():
        assert await gone(int(pid))


async def gone(pid: int) -> bool:
    """Whether a process ends, or is left for init to bury, within some seconds."""
    async with asyncio.timeout(5):
        while True:
            try:
                if state_of(pid) == "Z":
                    return True
            except (FileNotFoundError, ProcessLookupError):
                return True
            await asyncio.sleep(0)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def ask(data: bytes, *, user: int | None = None, **environment: str) -> tuple[int, protocol.WireFault]:
    """Run the helper on raw bytes; its exit code and the fault that it answers."""
    command = OWN if user is None else ["setpriv", f"--reuid={user}", "--clear-groups", *OWN]
    done = subprocess.run(command, input=data, capture_output=True, env=os.environ | environment)
    error = json.loads(done.stdout)["Error"]
    return done.returncode, protocol.from_json(protocol.WireFault, error, "Error")


@pytest.mark.root
def test_bad_requests_are_answered_with_fault_5() -> None:
    for data in (b"", b"garbage", b'{"Method":"Reboot","Payload":{}}', b"x" * (protocol.MESSAGE_BYTES_MAX + 2)):
        code, fault = ask(data)
        assert code == 1
        assert fault.code == Code.PRIVILEGED_HELPER_REQUEST_FAILED


@pytest.mark.root
def test_users_other_than_root_and_the_owner_are_refused() -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    code, fault = ask(protocol.encode_request(Request()), SUDO_UID=str(nobody))
    assert code == 1
    assert f"does not serve user {nobody}" in fault.description


@pytest.mark.root
def test_a_socket_on_stdin_tells_who_asks_whatever_the_environment_says() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(protocol.encode_request(Request()))
        ours.shutdown(1)
        done = subprocess.run(OWN, stdin=theirs, capture_output=True, env=os.environ | {"SUDO_UID": "65534"})
    assert protocol.decode_reply("Ping", done.stdout).version == PRODUCT_VERSION


def test_the_owner_is_read_only_from_a_file_that_root_alone_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "owner"
    monkeypatch.setattr(app, "OWNER_FILE", file)
    monkeypatch.setattr(app, "OWNER_DEFAULT", "no such user")
    assert app.owner() is None
    file.write_text("nobody\n")
    if os.geteuid() == 0:
        assert app.owner() == pwd.getpwnam("nobody").pw_uid
    file.chmod(0o666)
    assert app.owner() is None


@pytest.mark.root
def test_the_owner_gets_storage_for_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "caller", lambda: 1234)
    app._check_owner(protocol.ScmFormat(mountpoint="/m", owner_uid=1234, owner_gid=0))
    with pytest.raises(Fault, match="does not serve user 1234"):
        app._check_owner(protocol.ScmFormat(mountpoint="/m", owner_uid=0, owner_gid=0))
