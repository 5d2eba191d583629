"""The management service of one server: opened with the system database, closed and erased with it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import grpc

from daos_control.ms.attach_info import AttachInfo
from daos_control.ms.edges import Clock, LocalEngines, PublishEvent, RankControl
from daos_control.ms.event_handlers import EventHandlers
from daos_control.ms.group_push import GroupPush
from daos_control.ms.join_handler import JoinHandler
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.pool_cleaner import PoolCleaner
from daos_control.ms.pool_create import PoolCreator
from daos_control.ms.pool_destroy import PoolDestroyer
from daos_control.ms.pool_handlers import PoolHandlers
from daos_control.ms.pool_locks import PoolLocks
from daos_control.ms.property_handlers import PropertyHandlers
from daos_control.ms.routing import check_replica
from daos_control.ms.servicer import Handler, make_servicer, register
from daos_control.ms.session import Session, State
from daos_control.ms.settings import MsSettings
from daos_control.ms.system_handlers import SystemHandlers
from daos_control.ms.writer import Writer
from daos_control.store.interface import Store
from daos_control.store.sqlite import SqliteStore
from daos_control.system.database import SystemDatabase
from daos_control.system.events import RasEvent
from daos_control.system.names import canonical_uuid
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.properties import decide_fabric_providers, get_properties

log = logging.getLogger(__name__)

DATABASE_NAME = "daos_system.sqlite"

StoreFactory = Callable[[Path], Store]


class ManagementService:
    """Every server has one. It serves once `open` has been called, on a replica, when storage is formatted; before,
    callers hear that the system is uninitialized, and on other servers who the replicas are.

    All tasks run in one task of the service's own and end with `close`. The database is changed by its writer only,
    which commits before anybody is answered; everything else reads memory.
    """

    def __init__(
        self,
        settings: MsSettings,
        engines: LocalEngines,
        ranks: RankControl,
        clock: Clock,
        publish_event: PublishEvent,
        *,
        store: StoreFactory = SqliteStore,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._publish = publish_event
        self._new_store = store
        self._directory: Path | None = None
        self._runner: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()  # of open, close and erase
        self._erased: Callable[[], None] = lambda: None
        self.session = Session()
        self._locks = PoolLocks()
        self._calls = PoolCalls(settings, self.session, engines)
        self._cleaner = PoolCleaner(settings, self.session, self._calls, self._locks)
        self._push = GroupPush(settings, self.session, engines)
        self._events = EventHandlers(settings, self.session, self._locks, clock)
        self._attach_info = AttachInfo(settings, self.session)
        self.servicer = make_servicer(settings, self.session, self._handlers(engines, ranks))

    def _handlers(self, engines: LocalEngines, ranks: RankControl) -> Mapping[str, Handler]:
        settings, session, calls = self._settings, self.session, self._calls
        join = JoinHandler(session, calls, self._clock, self._publish, settings.hostname)
        system = SystemHandlers(settings, session, ranks, self._clock, self._publish, self.erase)
        properties = PropertyHandlers(settings, session, calls)
        creator = PoolCreator(settings, session, engines, calls, self._locks, self._cleaner)
        destroyer = PoolDestroyer(session, calls, self._locks, self._cleaner)
        pools = PoolHandlers(session, calls, self._locks)
        return {
            "Join": join.join,
            "ClusterEvent": self._events.cluster_event,
            "LeaderQuery": system.leader_query,
            "GetAttachInfo": self._attach_info.get_attach_info,
            "SystemQuery": system.system_query,
            "SystemStop": system.system_stop,
            "SystemStart": system.system_start,
            "SystemErase": system.system_erase,
            "SystemSetAttr": properties.set_attributes,
            "SystemGetAttr": properties.get_attributes,
            "SystemSetProp": properties.set_properties,
            "SystemGetProp": properties.get_properties,
            "PoolCreate": creator.create,
            "PoolDestroy": destroyer.destroy,
            "PoolQuery": pools.query,
            "PoolGetProp": pools.get_properties,
            "PoolSetProp": pools.set_properties,
            "PoolEvict": pools.evict,
            "ListPools": pools.list_pools,
            "ListContainers": pools.list_containers,
        }

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service's methods to a server that has not started."""
        register(self.servicer, self._attach_info, server)

    # Its life

    @property
    def is_open(self) -> bool:
        return self.session.state is State.OPEN

    async def open(self, directory: Path) -> None:
        """Read the system database in `directory`, or begin one, and serve.

        Returns when requests are answered. Raises NotReplicaError, what the store raises for a database that cannot
        be used, and ControlError where the configuration contradicts what the database says; the service is closed
        then as it was before. Nothing to do where it is open.
        """
        check_replica(self._settings)
        async with self._turn:
            if self.session.state is State.OPEN:
                return
            self.session.move(State.OPENING)
            self._directory = directory
            self._stop = asyncio.Event()
            opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            runner = self._runner = asyncio.create_task(self._run(directory, opened), name="management service")
            try:
                await asyncio.wait({runner, opened}, return_when=asyncio.FIRST_COMPLETED)
                if not opened.done():
                    runner.result()
                opened.result()
            except BaseException:
                if not opened.done():
                    opened.cancel()
                    runner.cancel()
                await self._end()
                raise
            runner.add_done_callback(_log_crash)

    async def close(self) -> None:
        """Finish what is under way, for a bounded time, and give the database up. May be repeated."""
        async with self._turn:
            await self._end()

    async def erase(self) -> None:
        """Close, and remove the database: there is no system any more. Not cut short when its caller leaves."""
        await asyncio.shield(asyncio.create_task(self._erase(), name="erase of the system database"))

    def on_erased(self, callback: Callable[[], None]) -> None:
        """Called after each erase; the server then waits for a format again."""
        self._erased = callback

    async def _erase(self) -> None:
        async with self._turn:
            directory = self._directory
            await self._end()
            if directory is not None:
                store = self._new_store(directory / DATABASE_NAME)
                try:
                    await store.erase()
                finally:
                    await store.close()
                log.warning("the system database in %s was erased", directory)
        self._erased()

    async def _end(self) -> None:
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._stop.set()
        if self.session.state in (State.OPENING, State.OPEN):
            self.session.move(State.CLOSING)
        await asyncio.wait({runner})
        self.session.move(State.CLOSED)

    async def _run(self, directory: Path, opened: asyncio.Future[None]) -> None:
        store = self._new_store(directory / DATABASE_NAME)
        try:
            db = await store.load()
            limits = self._settings.limits
            writer = Writer(store, self._clock, db, limit=limits.queue, batch=limits.batch)
            self._push.reset()
            writer.subscribe(self._push.on_commit)
            await self._serve(writer, opened)
        finally:
            self.session.detach()
            await store.close()

    async def _serve(self, writer: Writer, opened: asyncio.Future[None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer.run(), name="writer")
            try:
                await self._step_up(writer)
            except Exception as error:  # noqa: BLE001 - whoever opens the service has to hear of it
                if not opened.done():
                    opened.set_exception(error)
                writer.close()
                return
            self.session.attach(writer, tasks)
            self.session.move(State.OPEN)
            work = [
                tasks.create_task(self._push.run(), name="group map"),
                tasks.create_task(self._cleaner.run(), name="pool cleaner"),
            ]
            opened.set_result(None)
            await self._stop.wait()
            for task in work:
                task.cancel()
            await self.session.drain(self._settings.limits.close_s)
            writer.close()

    async def _step_up(self, writer: Writer) -> None:
        """What has to be true before anybody is answered."""
        event = await writer.submit(
            lambda db, now: decide_fabric_providers(
                db, self._settings.providers, now, hostname=self._settings.hostname
            )
        )
        if event is not None:
            self._publish(event)

    # For the rest of the server

    def engine_ready(self) -> None:
        """A local engine was set up just now."""
        self._push.engine_ready()
        self._cleaner.wake()

    async def handle_event(self, event: RasEvent, forwarded: bool = False) -> None:
        """Act on a state change; raises as `db` does, and where it could not be recorded."""
        check_replica(self._settings)
        await self._events.handle(event, forwarded=forwarded)

    @property
    def db(self) -> SystemDatabase:
        """The committed state, read only. Raises NotReplicaError, and as `Session.writer`."""
        check_replica(self._settings)
        return self.session.db

    def pool_service(self, uuid: str) -> tuple[int, ...] | None:
        """The ranks of the service of a pool that is ready; None for any other."""
        canonical = canonical_uuid(uuid)
        pool = None if canonical is None else self.db.pools.get(canonical)
        return pool.replicas if pool is not None and pool.state is PoolState.READY else None

    def pool_by_label(self, label: str) -> PoolService | None:
        """The pool of that label where it is ready."""
        pool = self.db.pool_of_label(label)
        return pool if pool is not None and pool.state is PoolState.READY else None

    def list_pools(self, include_all: bool) -> list[PoolService]:
        """Pools that are ready, or all, in the order of their uuids."""
        pools = sorted(self.db.pools.values(), key=lambda pool: pool.uuid)
        return [pool for pool in pools if include_all or pool.state is PoolState.READY]

    def system_properties(self, keys: Sequence[str]) -> dict[str, str]:
        """By name, all where none is named. Raises ControlError for one that is unknown."""
        return get_properties(self.db, keys, system_name=self._settings.system_name)


def _log_crash(runner: asyncio.Task[None]) -> None:
    if not runner.cancelled() and runner.exception() is not None:
        log.critical("the management service ended", exc_info=runner.exception())
