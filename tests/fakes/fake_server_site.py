"""A server's surroundings for tests of engines: dRPC socket, storage, joiner, and the fake engine as program."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from daos_control.drpc import DrpcServer
from daos_control.security.tls import Transport
from daos_control.server import superblock
from daos_control.server.drpc_modules import ServerModules
from daos_control.server.engine_command import EngineCommand
from daos_control.server.harness import Harness
from daos_control.server.instance import KILL, Instance, Settings
from daos_control.server.joining import JoinReply, JoinRequest, Verdict
from daos_control.server.storage_check import Missing
from daos_control.server.superblock import Superblock
from daos_control.storage.api import Class, EngineStorage, ScmTier
from daos_control.system.events import RasEvent
from daos_control.system.pool import PoolService
from fakes.fake_server_storage import DirectoryStorage

ENGINE = Path(__file__).with_name("fake_server_engine.py")
SOURCES = f"{Path(__file__).parents[2] / 'src'}:{Path(__file__).parents[1]}"

PATIENCE_SECONDS = 30.0  # for what takes a fraction of a second on an idle machine


class ScriptedJoiner:
    """Lets engines in one after the other, or does what `answers` holds for them: an exception, a reply, or None
    for no answer at all."""

    def __init__(self) -> None:
        self.requests: list[JoinRequest] = []
        self.answers: list[JoinReply | Exception | None] = []
        self.asked = asyncio.Event()
        self.cancelled = 0

    async def join(self, request: JoinRequest) -> JoinReply:
        self.requests.append(request)
        self.asked.set()
        if not self.answers:
            rank = request.index if request.rank is None else request.rank
            return JoinReply(rank=rank, verdict=Verdict.IN, map_version=7)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            raise AssertionError
        return answer


@dataclass
class Watcher:
    """`instance.Observer`: remembers what it was told."""

    deaths: list[tuple[int, int, str]] = field(default_factory=list)
    formats: list[tuple[int, str]] = field(default_factory=list)
    readies: list[int] = field(default_factory=list)
    on_ready: Callable[[], None] = lambda: None

    def engine_died(self, instance: Instance, pid: int, reason: str) -> None:
        self.deaths.append((instance.index, pid, reason))

    def format_required(self, instance: Instance, missing: Missing) -> None:
        self.formats.append((instance.index, missing.value))

    def engine_ready(self, instance: Instance) -> None:
        self.readies.append(instance.index)
        self.on_ready()


class NoPools:
    def pool_service(self, uuid: str) -> tuple[int, ...] | None:
        return None

    def pool_by_label(self, label: str) -> PoolService | None:
        return None

    def list_pools(self, include_all: bool) -> list[PoolService]:
        return []


@dataclass
class Site:
    """Engines of a server that has everything but gRPC. `ways` of each engine are FAKE_ENGINE's."""

    path: Path
    harness: Harness
    storage: DirectoryStorage
    joiner: ScriptedJoiner
    watcher: Watcher
    ways: list[str]
    events: list[RasEvent]
    ready_hooks: list[int]
    hook_errors: list[Exception]

    @property
    def instance(self) -> Instance:
        return self.harness.instances[0]

    def engine_log(self, index: int = 0) -> list[str]:
        """What the engine noted, of all its lives."""
        file = self.path / f"engine{index}.log"
        return file.read_text().splitlines() if file.exists() else []

    async def until(self, condition: Callable[[Instance], bool], index: int = 0) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.harness.instances[index].wait_until(condition)

    async def format(self, index: int = 0) -> None:
        """As an administrator does."""
        instance = self.harness.instances[index]
        await self.storage.format_scm(instance.storage, force=False)
        instance.notify_storage_ready()


def engine_storage(path: Path, index: int) -> EngineStorage:
    return EngineStorage(index=index, scm=ScmTier(Class.RAM, path / f"mnt{index}", size_gib=4), bdevs=())


def earlier_identity(index: int) -> Superblock:
    uuid = f"12345678-1234-5678-1234-56781234567{index}"
    return Superblock(uuid, "sys", index + 5, "ofi+tcp://127.0.0.1:1", True, "/host")


@contextlib.asynccontextmanager
async def site(
    path: Path, *ways: str, bootstrap: bool = False, formatted: bool = False, joined: bool = False
) -> AsyncIterator[Site]:
    """One engine for each of `ways`; nothing is left running.

    `formatted`: their storage is, without a superblock. `joined`: it also has the superblock of engine n as rank
    n + 5, of an earlier life.
    """
    harness = Harness(targets=1)
    made = Site(path, harness, DirectoryStorage(), ScriptedJoiner(), Watcher(), list(ways), [], [], [])
    made.watcher.on_ready = harness.engine_ready

    async def storage_ready(instance: Instance) -> None:
        made.ready_hooks.append(instance.index)
        if made.hook_errors:
            raise made.hook_errors.pop(0)

    def command(index: int) -> Callable[[bool], EngineCommand]:
        def build(checker: bool) -> EngineCommand:
            arguments = [str(ENGINE), "-d", str(path), "-I", str(index), *(["-C"] if checker else [])]
            environment = {
                "PYTHONPATH": SOURCES,
                "FAKE_ENGINE": made.ways[index],
                "FAKE_ENGINE_LOG": str(path / f"engine{index}.log"),
            }
            return EngineCommand(Path(sys.executable), tuple(arguments), environment)

        return build

    for index in range(len(ways)):
        storage = engine_storage(path, index)
        if formatted or joined:
            await made.storage.format_scm(storage, force=False)
        if joined:
            superblock.write(storage.superblock_path, earlier_identity(index))
        settings = Settings("sys", storage, "/host", bootstrap=bootstrap and index == 0)
        harness.add(
            Instance(
                settings,
                ops=made.storage,
                command=command(index),
                joiner=made.joiner,
                observer=made.watcher,
                storage_ready=storage_ready,
            )
        )

    async def properties(keys: object) -> dict[str, str]:
        return {"self_heal": "exclude"}

    server = DrpcServer(path / "daos_server.sock")
    modules = ServerModules(
        instances=harness.instances,
        pools=NoPools(),
        properties=properties,
        publish=made.events.append,
        transport=Transport(allow_insecure=True),
    )
    modules.register(server)
    await server.start()
    running = asyncio.create_task(harness.run())
    try:
        yield made
    finally:
        await harness.close(KILL)
        await running
        await server.close()
        assert all(not instance.is_started for instance in harness.instances)
