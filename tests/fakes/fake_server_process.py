"""A whole `daos_server start` in a process of its own, with the fake engine, on a loopback address of its own."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import yaml

from daos_control.client.connection import Client
from fakes.fake_server_site import ENGINE, SOURCES

PATIENCE_SECONDS = 60.0
_SCRIPT = f"""#!{sys.executable}
import runpy, sys
sys.path[:0] = {SOURCES.split(":")!r}
runpy.run_path({str(ENGINE)!r}, run_name="__main__")
"""


def free_address() -> tuple[str, int]:
    """An address of this host alone, by this process's id, and a port that is free on it."""
    host = f"127.{os.getpid() >> 16 & 0xFF | 1}.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return host, probe.getsockname()[1]


class ServerProcess:
    """Writes a configuration of `engines` engines (class ram) under `path`, and runs the server with it."""

    def __init__(self, path: Path, engines: int, **changes: Any) -> None:
        self.path = path
        self.host, self.port = free_address()
        self.sockets = path / "run"
        self.sockets.mkdir()
        self.log = path / "server.log"
        program = path / "fake_engine"
        program.write_text(_SCRIPT)
        program.chmod(0o755)
        self.config: dict[str, Any] = {
            "name": "sys",
            "port": self.port,
            "mgmt_svc_replicas": [f"{self.host}:{self.port}"],
            "provider": "ofi+tcp",
            "socket_dir": str(self.sockets),
            "transport_config": {"allow_insecure": True},
            "control_log_mask": "DEBUG",
            "system_ram_reserved": 1,
            "engines": [self.engine(index) for index in range(engines)],
            "daos_control": {"engine_binary": str(program), "control_address": self.host},
        } | changes
        self.process: subprocess.Popen[bytes] | None = None

    def engine(self, index: int) -> dict[str, Any]:
        return {
            "targets": 1,
            "fabric_iface": "lo",
            "fabric_iface_port": 31000 + 10 * index,
            "log_file": str(self.path / f"engine{index}.out"),
            "env_vars": [f"FAKE_ENGINE_LOG={self.path / f'engine{index}.log'}"],
            "storage": [{"class": "ram", "scm_mount": str(self.path / f"mnt{index}"), "scm_size": 4}],
        }

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def client(self, component: str = "admin") -> Client:
        return Client(None, hosts=[self.address], system="sys", port=self.port, component=component)

    def start(self, *options: str) -> None:
        file = self.path / "daos_server.yml"
        file.write_text(yaml.safe_dump(self.config))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daos_control.cli.daos_server", "start", "-o", str(file), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def until_logged(self, text: str, times: int = 1) -> None:
        await self.until(lambda: self.output().count(text) >= times, f"{text!r} in the log")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Polls: the other side is another process."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline or (self.process is not None and self.process.poll() is not None):
                assert condition(), f"waited for {what}:\n{self.output()}"
                return
            await asyncio.sleep(0.02)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    async def exit_status(self) -> int:
        process = self.process
        assert process is not None
        return await asyncio.wait_for(asyncio.to_thread(process.wait), PATIENCE_SECONDS)

    async def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.exit_status()

    def clean(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for mount in sorted(self.path.glob("mnt*")):
            subprocess.run(["umount", "-l", str(mount)], stderr=subprocess.DEVNULL, check=False)


@contextlib.asynccontextmanager
async def server(path: Path, engines: int = 1, **changes: Any) -> AsyncIterator[ServerProcess]:
    """Not started yet; nothing of it is left running or mounted."""
    made = ServerProcess(path, engines, **changes)
    try:
        yield made
    finally:
        made.clean()
