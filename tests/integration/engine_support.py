"""Runs real embedded engines for tests, with a small server (real dRPC) on the other side of their sockets."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import uuid as uuids
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daos_control import drpc
from daos_control.drpc import DrpcServer, DrpcStatus, DrpcStatusError, Method
from daos_control.proto.mgmt import pool_pb2, svc_pb2, system_pb2
from daos_control.proto.shared import event_pb2

DEADLINE = 20.0
MIB = 1 << 20
FAST_SWIM = {
    "DAOS_EMBEDDED_SWIM_PERIOD_MS": "150",
    "DAOS_EMBEDDED_SWIM_SUSPECT_MS": "500",
    "DAOS_EMBEDDED_SWIM_DEAD_MS": "1500",
}


class SmallServer:
    """The server's side of dRPC: takes NotifyReady and events, answers GetSysProps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ready: asyncio.Queue[Any] = asyncio.Queue()
        self.events: list[Any] = []
        self.event_came = asyncio.Condition()
        self.refuse_ready = False
        self.refuse_properties = False
        self.property_requests: list[Any] = []
        self.self_heal = "exclude;pool_exclude;pool_rebuild"
        self._drpc = DrpcServer(directory / "daos_server.sock")

    async def __aenter__(self) -> "SmallServer":
        self._drpc.handle(Method.NOTIFY_READY, self._notify_ready)
        self._drpc.handle(Method.CLUSTER_EVENT, self._cluster_event)
        self._drpc.handle(Method.GET_SYS_PROPS, self._system_properties)
        await self._drpc.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drpc.close()

    async def _notify_ready(self, request: Any) -> None:
        if self.refuse_ready:
            raise DrpcStatusError(DrpcStatus.FAILURE)
        await self.ready.put(request)

    async def _cluster_event(self, request: Any) -> event_pb2.ClusterEventResp:
        async with self.event_came:
            self.events.append(request.event)
            self.event_came.notify_all()
        return event_pb2.ClusterEventResp(sequence=request.sequence)

    async def _system_properties(self, request: Any) -> system_pb2.SystemGetPropResp:
        self.property_requests.append(request)
        if self.refuse_properties:
            raise DrpcStatusError(DrpcStatus.FAILURE)
        return system_pb2.SystemGetPropResp(properties={"self_heal": self.self_heal})

    async def event(self, matches: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(DEADLINE), self.event_came:
            while True:
                for event in self.events:
                    if matches(event):
                        return event
                await self.event_came.wait()


@dataclass
class EngineProcess:
    """One engine program, started and stopped by tests; `rank` is what `join` gave it."""

    server: SmallServer
    storage: Path
    rank: int = 0
    targets: int = 2
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    ready: Any = None

    def launch(self, **extra: str) -> None:
        """Start the program; `extra` is more environment, for this start only."""
        command = [sys.executable, "-m", "daos_control.engine.main", "-t", str(self.targets), "-x", "0"]
        command += ["-g", "daos_server", "-d", str(self.server.directory), "-T", "1", "-I", "0"]
        command += [*self.arguments, "-s", str(self.storage)]
        base = {
            "D_PROVIDER": "ofi+tcp",
            "D_INTERFACE": "lo",
            "D_LOG_MASK": "DBUG",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        base["D_LOG_FILE"] = str(self.server.directory / f"engine-{self.storage.name}.log")
        self.process = subprocess.Popen(
            command,
            env=base | FAST_SWIM | self.environment | extra,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def start(self, **extra: str) -> None:
        """Launch, and wait until it says that it is ready."""
        self.launch(**extra)
        async with asyncio.timeout(DEADLINE):
            self.ready = await self.server.ready.get()

    @property
    def running(self) -> subprocess.Popen[str]:
        assert self.process is not None
        return self.process

    @property
    def socket(self) -> Path:
        return self.server.directory / f"daos_engine_{self.running.pid}.sock"

    async def call(self, method: Method, request: Any = None) -> Any:
        return await drpc.call(self.socket, method, request, timeout=DEADLINE)

    async def join(self, rank: int, map_version: int = 1) -> None:
        """SetRank and SetUp, as a server does after the join."""
        self.rank = rank
        reply = await self.call(Method.SET_RANK, svc_pb2.SetRankReq(rank=rank, map_version=map_version))
        assert reply.status == 0
        assert (await self.call(Method.SET_UP)).status == 0

    async def wait(self) -> int:
        """Its exit status, once it ends."""
        async with asyncio.timeout(DEADLINE):
            return await asyncio.to_thread(self.running.wait, DEADLINE)

    async def output(self) -> tuple[str, str]:
        async with asyncio.timeout(DEADLINE):
            return await asyncio.to_thread(self.running.communicate)

    async def kill(self) -> None:
        self.running.kill()
        await self.wait()

    async def stop(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        return await self.wait()

    def clean_up(self) -> None:
        """Leave nothing running and nothing open."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process = None


def group_map(engines: list[EngineProcess], version: int) -> svc_pb2.GroupUpdateReq:
    request = svc_pb2.GroupUpdateReq(map_version=version)
    for engine in engines:
        request.engines.add(rank=engine.rank, uri=engine.ready.uri, incarnation=engine.ready.incarnation)
    return request


def create_request(ranks: list[int], *, scm: int = 8 * MIB, nvme: int = 0, **more: Any) -> pool_pb2.PoolCreateReq:
    request = pool_pb2.PoolCreateReq(
        uuid=str(uuids.uuid4()),
        sys="daos_server-2.8.0",
        user="root@",
        user_group="root@",
        ranks=ranks,
        tier_bytes=[scm, nvme],
        **more,
    )
    request.properties.add(number=1, strval="tank")
    return request


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll for something that only another process can bring about."""
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while asyncio.get_running_loop().time() < deadline:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"this did not happen within {DEADLINE:g} s: {what}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def files_under(path: Path) -> set[str]:
    """Files of the tree, by their relative paths; an engine may remove some of it meanwhile."""
    return {
        os.path.relpath(os.path.join(folder, name), path)  # noqa: PTH118
        for folder, _, names in os.walk(path)
        for name in names
    }


def sparse_file(path: Path, size: int) -> Path:
    """A file of holes."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def used_bytes(path: Path) -> int:
    """What a file takes of its file system."""
    return path.stat().st_blocks * 512
