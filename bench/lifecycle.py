"""From start to joined: this control server, and beside it DAOS's own where its programs are at hand.

Both run the same embedded engine (DAOS's server finds it as `daos_engine` on its PATH), the same configuration, and
mutual TLS, one after the other in one run.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daos_control.client import storage, system
from daos_control.client.connection import Client
from daos_control.security import certs
from daos_control.security.tls import Transport, client_credentials
from daos_control.system.state import MemberState

ENGINES = 2
PORT = 10801
FABRIC_PORT = 31801
_POLL_SECONDS = 0.005
_WAIT_SECONDS_MAX = 120.0


@dataclass(slots=True)
class Figures:
    """Seconds of each run, and bytes."""

    listening: list[float] = field(default_factory=list)
    formatted_to_joined: list[float] = field(default_factory=list)
    restarted_to_joined: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    query: list[float] = field(default_factory=list)


class Rig:
    """One server with its engines in a directory of its own."""

    def __init__(self, root: Path, programs: Path, *, ours: bool) -> None:
        self.root = root
        self.ours = ours
        self.programs = programs
        self.process: subprocess.Popen[bytes] | None = None
        certs.init(root / "certs")
        (root / "run").mkdir()
        tools = root / "bin"
        tools.mkdir()
        (tools / "daos_engine").symlink_to(Path(sys.executable).parent / "daos_engine_embedded")
        self.environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
        (root / "server.yml").write_text(self._server_config())
        (root / "control.yml").write_text(self._control_config())

    def _transport(self, component: str) -> str:
        files = self.root / "certs"
        return (
            "transport_config:\n"
            f"  ca_cert: {files / 'daosCA.crt'}\n"
            f"  cert: {files / f'{component}.crt'}\n  key: {files / f'{component}.key'}\n"
        )

    def _server_config(self) -> str:
        engines = "".join(
            f"- targets: 1\n  nr_xs_helpers: 0\n  first_core: 0\n  fabric_iface: lo\n"
            f"  fabric_iface_port: {FABRIC_PORT + index}\n  log_file: {self.root / f'engine{index}.log'}\n"
            f"  storage:\n  - class: ram\n    scm_mount: {self.mount(index)}\n    scm_size: 4\n"
            for index in range(ENGINES)
        )
        extension = "daos_control:\n  embedded_engine: true\n" if self.ours else ""
        return (
            f"port: {PORT}\nmgmt_svc_replicas: ['127.0.0.1:{PORT}']\nsocket_dir: {self.root / 'run'}\n"
            "provider: ofi+tcp\ndisable_hugepages: true\nsystem_ram_reserved: 1\ncontrol_log_mask: ERROR\n"
            f"{self._transport('server')}  client_cert_dir: {self.root / 'certs' / 'clients'}\n"
            f"engines:\n{engines}{extension}"
        )

    def _control_config(self) -> str:
        return f"port: {PORT}\nhostlist: ['127.0.0.1']\n{self._transport('admin')}"

    def mount(self, index: int) -> Path:
        return self.root / f"scm{index}"

    def client(self) -> Client:
        files = self.root / "certs"
        transport = Transport(files / "daosCA.crt", files / "admin.crt", files / "admin.key")
        return Client(client_credentials(transport), hosts=["127.0.0.1"], port=PORT)

    def start(self) -> float:
        """Seconds until it listens."""
        began = time.perf_counter()
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "daos_server", "start", "-o", self.root / "server.yml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        while time.perf_counter() - began < _WAIT_SECONDS_MAX:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
                return time.perf_counter() - began
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {(self.root / 'server.log').read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)
        raise TimeoutError("the server does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def close(self) -> None:
        self.stop()
        for index in range(ENGINES):
            subprocess.run(["umount", "--lazy", self.mount(index)], capture_output=True, check=False)

    def resident_bytes(self) -> float:
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def dmg_seconds(self) -> float:
        began = time.perf_counter()
        command = [str(self.programs / "dmg"), "-o", str(self.root / "control.yml"), "system", "query"]
        subprocess.run(command, check=True, capture_output=True, env=self.environment)
        return time.perf_counter() - began


async def _format(rig: Rig) -> float:
    """Seconds from the end of the format to all engines joined."""
    deadline = time.perf_counter() + _WAIT_SECONDS_MAX
    async with rig.client() as client:
        while True:  # the reference's engines await their format a while after it listens
            try:
                await storage.format(client)
                break
            except Exception:
                if time.perf_counter() > deadline:
                    raise
                await asyncio.sleep(0.2)
        began = time.perf_counter()
        await _joined(client, newer_than={})
        return time.perf_counter() - began


async def _incarnations(rig: Rig) -> dict[int, int]:
    async with rig.client() as client:
        reply = await system.query(client)
        return {member.rank: member.incarnation for member in reply.members}


async def _rejoined(rig: Rig, before: dict[int, int]) -> None:
    async with rig.client() as client:
        await _joined(client, newer_than=before)


async def _joined(client: Client, *, newer_than: dict[int, int]) -> None:
    deadline = time.perf_counter() + _WAIT_SECONDS_MAX
    while time.perf_counter() < deadline:
        with contextlib.suppress(Exception):
            reply = await system.query(client)
            joined = [
                m
                for m in reply.members
                if m.state is MemberState.JOINED and m.incarnation > newer_than.get(m.rank, 0)
            ]
            if len(joined) == ENGINES:
                return
        await asyncio.sleep(_POLL_SECONDS)
    raise TimeoutError("not all engines joined")


def _measure(programs: Path, *, ours: bool, runs: int) -> Figures:
    figures = Figures()
    for _ in range(runs):
        with _rig(programs, ours=ours) as rig:
            figures.listening.append(rig.start())
            figures.formatted_to_joined.append(asyncio.run(_format(rig)))
            before = asyncio.run(_incarnations(rig))
            rig.stop()
            began = time.perf_counter()
            rig.start()
            asyncio.run(_rejoined(rig, before))
            figures.restarted_to_joined.append(time.perf_counter() - began)
            figures.resident.append(rig.resident_bytes())
            figures.query += [rig.dmg_seconds() for _ in range(5)]
    return figures


@contextlib.contextmanager
def _rig(programs: Path, *, ours: bool) -> Iterator[Rig]:
    root = Path(tempfile.mkdtemp(prefix="daos-bench-"))
    try:
        rig = Rig(root, programs, ours=ours)
        try:
            yield rig
        finally:
            rig.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run(runs: int, reference: Path | None) -> None:
    """Print the medians, with the reference's and the ratio where it is measured too."""
    ours = _measure(Path(sys.executable).parent, ours=True, runs=runs)
    theirs = None if reference is None else _measure(reference.absolute(), ours=False, runs=runs)
    rows = (
        ("start to listening", "listening", "s", 1.0),
        ("format to joined", "formatted_to_joined", "s", 1.0),
        ("restart to joined", "restarted_to_joined", "s", 1.0),
        ("server resident", "resident", "MiB", 1 / (1 << 20)),
        ("dmg system query", "query", "s", 1.0),
    )
    print(
        f"{'median of ' + str(runs) + ' runs':24}{'ours':>10}"
        + ("" if theirs is None else f"{'DAOS':>10}{'ratio':>8}")
    )
    for title, name, unit, scale in rows:
        mine = statistics.median(getattr(ours, name)) * scale
        line = f"{title + ' (' + unit + ')':24}{mine:10.3f}"
        if theirs is not None:
            other = statistics.median(getattr(theirs, name)) * scale
            line += f"{other:10.3f}{mine / other:8.2f}"
        print(line)
