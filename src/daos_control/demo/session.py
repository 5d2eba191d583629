"""Starting a demo system, showing what it can do, and ending it."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from daos_control.demo.layout import FIRST_CONTROL_PORT, Host, Layout
from daos_control.demo.namespace import unmount_below
from daos_control.demo.processes import Process, ProcessTable

LISTEN_SECONDS_MAX = 30.0
JOIN_SECONDS_MAX = 60.0
COMMAND_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.05
POOL_LABEL = "tank"
POOL_SIZE = "1GiB"


class DemoError(Exception):
    """The demo cannot go on; the text says why and where to look."""


def program(name: str) -> str:
    """The program as installed beside this interpreter."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else (shutil.which(name) or name)


class Demo:
    """One demo system in a state directory. `say` prints a line for the person who watches."""

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._processes = ProcessTable(state / "processes.json")
        self._layout = Layout.saved(state)

    @property
    def is_running(self) -> bool:
        return bool(self._processes.running())

    def up(self, *, hosts: int, engines: int, port: int = FIRST_CONTROL_PORT) -> None:
        """Start everything from nothing; what an earlier demo left is ended and removed first."""
        if self.is_running:
            self._say("Ending the demo that is running here; its pools go with it.")
        self.down()
        began = time.monotonic()
        self._state.mkdir(parents=True)
        layout = Layout.plan(self._state, hosts=hosts, engines=engines, port=port)
        layout.save()
        self._layout = layout
        self._say(f"A system of {hosts} host(s) with {engines} engine(s) each, in {self._state}")
        self._dmg("cert", "init", str(layout.certificates), config=False)
        layout.write_configs()
        for host in layout.hosts:
            self._start(layout, host)
        self._dmg("storage", "scan")
        self._dmg("storage", "format")
        self._wait_until_joined(layout)
        self._dmg("system", "query", "--verbose")
        self._dmg("pool", "create", f"--size={POOL_SIZE}", POOL_LABEL)
        self._dmg("pool", "list")
        self._dmg("pool", "query", POOL_LABEL)
        self._say(f"\nReady after {time.monotonic() - began:.1f} s.")

    def down(self) -> None:
        """End the servers (their engines end with them) and remove the state. Nothing to do is fine."""
        self._processes.stop_all(seconds_max=STOP_SECONDS_MAX)
        if self._layout is not None:
            shutil.rmtree(self._layout.sockets, ignore_errors=True)
        if self._state.exists():
            unmount_below(self._state)
            shutil.rmtree(self._state)

    def environment(self) -> dict[str, str]:
        """For the programs of the demo: ours first on the path."""
        own = str(Path(sys.executable).parent)
        return os.environ | {"PATH": f"{own}:{os.environ.get('PATH', os.defpath)}"}

    def control_config(self) -> Path:
        if self._layout is None or not self.is_running:
            raise DemoError("no demo is running; start one with: ./dev demo")
        return self._layout.control_config

    def _start(self, layout: Layout, host: Host) -> None:
        command = [program("daos_server"), "start", "-o", str(layout.server_config(host))]
        self._say(f"\n$ {shlex.join(['daos_server', *command[1:]])} &")
        process = Process.start(command, log=layout.server_log(host), environment=self.environment())
        self._processes.add(host.name, process)
        began = time.monotonic()
        while not _listens(host.address, layout.port):
            if not process.is_running:
                raise DemoError(f"the server of {host.name} ended: {_last_lines(layout.server_log(host))}")
            if time.monotonic() - began > LISTEN_SECONDS_MAX:
                raise DemoError(f"the server of {host.name} does not listen; see {layout.server_log(host)}")
            time.sleep(_POLL_SECONDS)
        self._say(f"listening on {host.address}:{layout.port} after {time.monotonic() - began:.2f} s")

    def _dmg(self, *arguments: str, config: bool = True) -> None:
        """Run and show a dmg command, as a person would type it in `./dev shell`."""
        self._say(f"\n$ {shlex.join(['dmg', *arguments])}")
        done = self._run_dmg(arguments, config=config)
        if done.stdout:
            self._say(done.stdout.rstrip("\n"))
        if done.returncode:
            raise DemoError(f"dmg {shlex.join(arguments)} failed: {done.stderr.strip()}")

    def _run_dmg(self, arguments: Sequence[str], *, config: bool) -> "subprocess.CompletedProcess[str]":
        options = ["-o", str(self._layout.control_config)] if config and self._layout is not None else []
        try:
            return subprocess.run(
                [program("dmg"), *options, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS_MAX,
                env=self.environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            text = f"dmg {shlex.join(arguments)} did not end within {COMMAND_SECONDS_MAX:.0f} s"
            raise DemoError(f"{text}; see the logs in {self._state}") from None

    def _wait_until_joined(self, layout: Layout) -> None:
        began = time.monotonic()
        states: list[str] = []
        while time.monotonic() - began < JOIN_SECONDS_MAX:
            done = self._run_dmg(["-j", "system", "query"], config=True)
            states = _member_states(done.stdout)
            if states == ["joined"] * layout.ranks:
                self._say(f"\n{layout.ranks} rank(s) joined {time.monotonic() - began:.2f} s after the format")
                return
            time.sleep(_POLL_SECONDS)
        raise DemoError(
            f"{states.count('joined')} of {layout.ranks} ranks joined within {JOIN_SECONDS_MAX:.0f} s; "
            f"see {', '.join(str(layout.server_log(host)) for host in layout.hosts)}"
        )


def _member_states(text: str) -> list[str]:
    try:
        return [str(member["state"]) for member in json.loads(text)["response"]["members"]]
    except (ValueError, KeyError, TypeError):
        return []


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _last_lines(log: Path, count: int = 5) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except OSError as error:
        return str(error)
