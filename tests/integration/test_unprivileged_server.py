"""daos_server as an ordinary user, with embedded engines, and the helper by each of its ways."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daos_control.faults import Code
from integration.private_host import HELPER, PrivateHost, interrupt
from integration.private_site import Site
from integration.test_storage_transports import OLD_RELEASE, needs_sudo, sudoers

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="a namespace with a user of its own needs root"),
]


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
        site.format(server)
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
