"""A host of our own, as far as files go: a mount namespace in which /etc is a copy and one system user more exists.

What is mounted, written to /etc, or put into sudoers.d there is gone with its last process, however that ends.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daos_control.demo.session import program

USER = "daoscontroltest"
PATIENCE_SECONDS = 60.0
PYTHON = sys.executable
HELPER = Path(program("daos_server_helper"))
_SOURCES = Path(__file__).parents[2]

_LISTENER = """
import os, socket, subprocess, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    connection, _ = server.accept()
    subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection, env={"PATH": os.environ["PATH"]})
    connection.close()
"""

_CALLER = """
import asyncio, json, sys
from pathlib import Path
from daos_control.faults import Fault
from daos_control.storage.helper import protocol
from daos_control.storage.helper_client import HelperClient
given = json.loads(sys.argv[1])
path = lambda name: Path(given[name]) if given.get(name) else None
client = HelperClient(path("binary"), socket=path("socket"), limit_s=given.get("limit_s"))
answers = []
for method, payload in given.get("calls", [["", {}]]):
    try:
        if method:
            request = protocol.from_json(protocol.METHODS[method].request, payload, "request")
            reply = asyncio.run(client.call(request))
        else:
            reply = asyncio.run(client.check())
        answers.append({"reply": protocol.to_json(reply)})
    except Fault as fault:
        answers.append({"code": int(fault.code), "text": fault.description, "help": fault.resolution})
print(json.dumps(answers))
"""


class PrivateHost:
    """As a context: a directory `area` that everybody may enter, and the namespace. `user` is a name of /etc/passwd
    in there, whom the privileged helper serves."""

    def __init__(self) -> None:
        self.area = Path(tempfile.mkdtemp(prefix="daos-control-", dir="/tmp"))
        self.area.chmod(0o755)
        self.user = USER
        self._children: list[subprocess.Popen[bytes]] = []
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        ready = self.area / "ready"
        script = "\n".join([*self._shadows(), *self._etc(), f"touch {ready}", "exec sleep 600"])
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script], stdin=subprocess.DEVNULL
        )
        until(lambda: ready.exists() or self._holder is None or self._holder.poll() is not None, "the namespace")
        assert self._holder.poll() is None, "the namespace was not made"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in [*reversed(self._children), self._holder]:
            if child is not None and child.poll() is None:
                child.terminate()
                try:
                    child.wait(30)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait(10)
        shutil.rmtree(self.area)

    @property
    def uid(self) -> int:
        line = next(line for line in (self.area / "etc/passwd").read_text().splitlines() if line.startswith(USER))
        return int(line.split(":")[2])

    def _etc(self) -> list[str]:
        etc = self.area / "etc"
        return [
            f"mkdir {etc}",
            f"cp -a /etc/. {etc}/",
            f"mount --bind {etc} /etc",
            f"useradd --system --no-create-home --user-group --shell /usr/sbin/nologin {USER}",
            "mkdir -p /etc/daos",
            f"echo {USER} >/etc/daos/daos_server_helper.owner",
        ]

    def _shadows(self) -> list[str]:
        """Where our interpreter or our sources lie below a directory that only root may enter, show them, and
        nothing else of it, to everybody."""
        wanted = {Path(os.path.realpath(PYTHON)), Path(os.path.realpath(sys.base_prefix)), _SOURCES}
        closed: dict[Path, set[str]] = {}
        for path in wanted:
            for parent in reversed(path.parents):
                if not parent.stat().st_mode & 0o001:
                    closed.setdefault(parent, set()).add(path.relative_to(parent).parts[0])
                    break
        lines = []
        for number, (parent, names) in enumerate(sorted(closed.items())):
            shadow = self.area / f"shadow{number}"
            lines.append(f"mkdir {shadow}")
            for name in sorted(names):
                lines += [f"mkdir {shadow / name}", f"mount --rbind {parent / name} {shadow / name}"]
            lines.append(f"mount --rbind {shadow} {parent}")
        return lines

    def command(self, command: Sequence[str], *, as_user: bool) -> list[str]:
        assert self._holder is not None
        who = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"] if as_user else []
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wd={self.area}", *who, *command]

    def run(self, *command: str, as_user: bool = False) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(command, as_user=as_user),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    def start(self, *command: str, as_user: bool = False, log: Path | None = None) -> "subprocess.Popen[bytes]":
        """Runs until the host is left, unless it ends before."""
        with (log or Path(os.devnull)).open("ab") as output:
            child = subprocess.Popen(
                self.command(command, as_user=as_user), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._children.append(child)
        return child

    def listen(self, name: str, *helper: str, with_systemd: bool = False) -> Path:
        """A socket for everybody at which each connection gets a process of `helper` (this project's, unless
        given), as with Accept=yes and StandardInput=socket of systemd."""
        path = self.area / name
        command = list(helper) or [os.fspath(HELPER)]
        if with_systemd:
            self.start("systemd-socket-activate", "--listen", os.fspath(path), "--accept", "--inetd", *command)
        else:
            self.start(PYTHON, "-I", "-c", _LISTENER, os.fspath(path), *command)
        until(path.exists, "the socket")
        path.chmod(0o666)
        return path

    def ask(self, *, as_user: bool = True, **way: Any) -> dict[str, Any]:
        """What the client of the helper gets from its check at start; `way` as for `ask_all`."""
        return self.ask_all(("", {}), as_user=as_user, **way)[0]

    def ask_all(self, *calls: tuple[str, dict[str, Any]], as_user: bool = True, **way: Any) -> list[dict[str, Any]]:
        """What the client gets for each call, a method and its payload as on the wire: `reply`, or `code`, `text`
        and `help`. `way` is `socket`, `binary` and `limit_s` as HelperClient has them."""
        given = json.dumps(way | {"calls": calls}, default=os.fspath)
        done = self.run(PYTHON, "-I", "-c", _CALLER, given, as_user=as_user)
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def mounted(self) -> list[str]:
        """Where something is mounted below `area`, the namespace's own binds apart."""
        assert self._holder is not None
        lines = Path(f"/proc/{self._holder.pid}/mountinfo").read_text().splitlines()
        own = (f"{self.area}/etc", f"{self.area}/shadow")
        points = [line.split()[4] for line in lines]
        return [point for point in points if point.startswith(f"{self.area}/") and not point.startswith(own)]


def until(condition: Any, what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Look again and again: the other side is another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def interrupt(process: "subprocess.Popen[bytes]") -> int:
    """Ask a process to stop, and wait until it has; its status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE_SECONDS)
