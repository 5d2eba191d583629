"""A daos_server on a private host: run by an ordinary user, with embedded engines."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import yaml

from daos_control.demo.layout import Layout
from daos_control.demo.session import program
from daos_control.security import certs
from integration.private_host import USER, PrivateHost, until
from integration.test_whole_system import free_port


class Site:
    """One server on a private host, run by its user; all its files are that user's. `ours` are keys of
    `daos_control`, `change` may do more to the configuration."""

    def __init__(
        self,
        host: PrivateHost,
        *,
        engines: int = 2,
        change: Callable[[dict[str, Any], Layout], None] | None = None,
        **ours: object,
    ) -> None:
        self.host = host
        state = host.area / "state"
        state.mkdir()
        self.layout = Layout.plan(state, hosts=1, engines=engines, port=free_port())
        self.member = self.layout.hosts[0]
        certs.init(self.layout.certificates)
        self.layout.write_configs()
        config = self.layout.server_config(self.member)
        data = yaml.safe_load(config.read_text())
        data["daos_control"] |= ours
        if change is not None:
            change(data, self.layout)
        config.write_text(yaml.safe_dump(json.loads(json.dumps(data, default=os.fspath))))
        done = host.run("chown", "-R", USER, os.fspath(state), os.fspath(self.layout.sockets))
        assert done.returncode == 0, done.stderr

    def start(self) -> "subprocess.Popen[bytes]":
        command = [program("daos_server"), "start", "-o", os.fspath(self.layout.server_config(self.member))]
        return self.host.start(*command, as_user=True, log=self.host.area / "server.log")

    def log(self) -> str:
        return (self.host.area / "server.log").read_text(errors="replace")

    def dmg(self, *arguments: str) -> Any:
        """The JSON that a command answers; None where it fails."""
        done = self.host.run(program("dmg"), "-o", os.fspath(self.layout.control_config), "-j", *arguments)
        return json.loads(done.stdout)["response"] if done.returncode == 0 else None

    def answer(self, *arguments: str) -> Any:
        """As `dmg`, of a command that must succeed."""
        done = self.host.run(program("dmg"), "-o", os.fspath(self.layout.control_config), "-j", *arguments)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.log()}"
        return json.loads(done.stdout)["response"]

    def pools(self) -> dict[str, str]:
        """Labels and UUIDs."""
        return {pool["label"]: pool["uuid"] for pool in self.answer("pool", "list")["pools"] or ()}

    def states(self) -> list[str]:
        found = self.dmg("system", "query")
        return [member["state"] for member in found["members"]] if found else []

    def until(self, condition: Any, what: str) -> None:
        try:
            until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def format(self, server: "subprocess.Popen[bytes]") -> None:
        """Until all engines have joined."""
        self.until(lambda: server.poll() is not None or self.dmg("storage", "format") is not None, "a format")
        self.until(lambda: self.states() == ["joined"] * self.layout.ranks, "all ranks")

    def close(self) -> None:
        shutil.rmtree(self.layout.sockets, ignore_errors=True)
