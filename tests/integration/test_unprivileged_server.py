"""daos_server as an ordinary user, with embedded engines, and the helper by each of its ways."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daos_control.demo.layout import Layout
from daos_control.demo.session import program
from daos_control.faults import Code
from daos_control.security import certs
from integration.private_host import HELPER, USER, PrivateHost, interrupt, until
from integration.test_storage_transports import OLD_RELEASE, needs_sudo, sudoers
from integration.test_whole_system import free_port

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="a namespace with a user of its own needs root"),
]


class Site:
    """One server with two engines on a private host; all its files are the user's."""

    def __init__(self, host: PrivateHost, **ours: object) -> None:
        self.host = host
        state = host.area / "state"
        state.mkdir()
        self.layout = Layout.plan(state, hosts=1, engines=2, port=free_port())
        self.member = self.layout.hosts[0]
        certs.init(self.layout.certificates)
        self.layout.write_configs()
        config = self.layout.server_config(self.member)
        data = yaml.safe_load(config.read_text())
        data["daos_control"] |= {name: os.fspath(value) for name, value in ours.items()}  # type: ignore[call-overload]
        config.write_text(yaml.safe_dump(data))
        done = host.run("chown", "-R", USER, os.fspath(state), os.fspath(self.layout.sockets))
        assert done.returncode == 0, done.stderr

    def start(self) -> Any:
        command = [program("daos_server"), "start", "-o", os.fspath(self.layout.server_config(self.member))]
        return self.host.start(*command, as_user=True, log=self.host.area / "server.log")

    def log(self) -> str:
        return (self.host.area / "server.log").read_text(errors="replace")

    def dmg(self, *arguments: str) -> Any:
        """The JSON that a command answers; None where it fails."""
        done = self.host.run(program("dmg"), "-o", os.fspath(self.layout.control_config), "-j", *arguments)
        return json.loads(done.stdout)["response"] if done.returncode == 0 else None

    def states(self) -> list[str]:
        found = self.dmg("system", "query")
        return [member["state"] for member in found["members"]] if found else []

    def until(self, condition: Any, what: str) -> None:
        try:
            until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def close(self) -> None:
        shutil.rmtree(self.layout.sockets, ignore_errors=True)


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as made:
        yield made


@pytest.mark.parametrize("way", ["socket", pytest.param("sudo", marks=needs_sudo)])
def test_a_server_without_privileges_formats_serves_and_leaves_nothing_mounted(host: PrivateHost, way: str) -> None:
    if way == "socket":
        site = Site(host, helper_socket=host.listen("helper.sock"))
    else:
        rules = host.area / "etc/sudoers.d/daos_server"
        rules.write_text(sudoers(HELPER))
        rules.chmod(0o440)
        site = Site(host, helper_binary=HELPER)
    try:
        server = site.start()
        site.until(lambda: server.poll() is not None or site.dmg("storage", "format") is not None, "a format")
        site.until(lambda: site.states() == ["joined", "joined"], "two ranks")
        assert site.dmg("pool", "create", "--size=256MiB", "tank")["tgt_ranks"]

        engines = _engines(server.pid)
        assert {path.stat().st_uid for path in (Path(f"/proc/{server.pid}"), *engines)} == {host.uid}
        mounts = [site.layout.mount(site.member, index) for index in (0, 1)]
        assert sorted(host.mounted()) == [str(mount) for mount in mounts]
        seen = Path(f"/proc/{server.pid}/root")
        for mount in mounts:
            inside = seen / mount.relative_to("/")
            assert (inside.stat().st_uid, inside.stat().st_mode & 0o777) == (host.uid, 0o775)
            assert (inside / "superblock").stat().st_uid == host.uid
        database = [p for p in (seen / mounts[0].relative_to("/")).rglob("control_store/*") if p.is_file()]
        assert database
        assert {path.stat().st_uid for path in database} == {host.uid}

        assert interrupt(server) == 0, site.log()
        assert not any(path.exists() for path in engines)
        calls = [("ScmUnmount", {"Target": str(mount)}) for mount in mounts]
        ours = {"socket": host.area / "helper.sock"} if way == "socket" else {"binary": HELPER}
        assert all("reply" in answer for answer in host.ask_all(*calls, **ours))
        assert host.mounted() == []
    finally:
        site.close()


def test_a_server_whose_helper_is_of_another_release_or_not_there_does_not_start(host: PrivateHost) -> None:
    old = host.area / "daos_server_helper"
    old.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{OLD_RELEASE}'\n")
    old.chmod(0o755)
    socket_path = host.listen("helper.sock", os.fspath(old))
    site = Site(host, helper_socket=socket_path)
    try:
        assert site.start().wait(60) == 1
        assert f"code = {int(Code.PRIVILEGED_HELPER_REQUEST_FAILED)}" in site.log()
        assert "version 0.0.1" in site.log()
        socket_path.unlink()
        assert site.start().wait(60) == 1
        assert f"code = {int(Code.PRIVILEGED_HELPER_NOT_AVAILABLE)}" in site.log()
        assert "listening" not in site.log().replace("says listening", "")
        assert host.mounted() == []
    finally:
        site.close()


def _engines(server: int) -> list[Path]:
    """What /proc has of the server's children."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert len(children) == 2, children
    return [Path(f"/proc/{pid}") for pid in children]
