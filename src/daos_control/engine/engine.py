"""The engine as a whole: its parts put together, and its life from start to stop."""

import asyncio
import os
import signal

from daos_control.drpc import DrpcServer
from daos_control.drpc.methods import Module
from daos_control.engine.devices import Devices
from daos_control.engine.errors import StartError
from daos_control.engine.fabric import FabricMethod, FabricServer, Handler, JsonHandler, json_handler
from daos_control.engine.fabric_address import FabricAddress, interface_ipv4
from daos_control.engine.group_map import GroupView
from daos_control.engine.handlers import Handlers
from daos_control.engine.locks import NamedLocks
from daos_control.engine.log import facility
from daos_control.engine.options import Options
from daos_control.engine.peers import Peers
from daos_control.engine.pool_create import PoolCreator
from daos_control.engine.pool_handlers import PoolHandlers
from daos_control.engine.pool_health import PoolHealth
from daos_control.engine.pool_router import PoolRouter
from daos_control.engine.pool_service import PoolService
from daos_control.engine.service_replicas import LocalReplicas
from daos_control.engine.shards import ShardStore
from daos_control.engine.storage import Storage
from daos_control.engine.targets import Targets
from daos_control.engine.upcalls import Server
from daos_control.engine.watcher import Watcher
from daos_control.faults.core import Fault
from daos_control.proto.srv import srv_pb2

_log = facility("engine")


class Engine:
    """Built on an opened storage. `run` is its whole life."""

    def __init__(self, options: Options, storage: Storage) -> None:
        self._options = options
        self._storage = storage
        self._set_up = asyncio.Event()
        self._server = Server(options.socket_dir, options.group)
        self._fabric = FabricServer()
        self._drpc = DrpcServer(options.socket_dir / f"daos_engine_{os.getpid()}.sock")
        locks = NamedLocks()
        shards = ShardStore(storage, options.targets)
        shards.load()
        self._peers = Peers(GroupView())
        replicas = LocalReplicas(storage, shards, locks)
        targets = Targets(shards, locks, self._peers, replicas.forget)
        service = PoolService(storage, shards, self._peers)
        self._health = PoolHealth(self._peers, shards, service, targets, self._server)
        self._watcher = Watcher(
            self._peers,
            options.swim,
            storage.incarnation,
            on_death=self._server.rank_dead,
            on_excluded=self._terminate,
            on_change=self._health.group_changed,
        )
        self._peers.is_dead = self._watcher.is_dead
        router = PoolRouter(self._peers, shards)
        pools = PoolHandlers(self._peers, service, PoolCreator(self._peers, targets, service, self._server))
        pools.register(router)
        self._handlers = Handlers(
            self._peers,
            self._watcher,
            self._server,
            pools,
            router,
            self._health,
            Devices(storage, shards, options.targets),
            check_mode=options.check_mode,
            on_set_up=self._set_up.set,
        )
        self._serve_fabric(targets, replicas, router)
        self._drpc.register_module(Module.MGMT)
        self._handlers.register(self._drpc)

    def _serve_fabric(self, targets: Targets, replicas: LocalReplicas, router: PoolRouter) -> None:
        calls: dict[FabricMethod, JsonHandler] = {
            FabricMethod.PING: self._watcher.answer_ping,
            FabricMethod.PING_OTHER: self._watcher.answer_ping_other,
            FabricMethod.MAP_FETCH: self._watcher.answer_map_fetch,
            FabricMethod.MAP_OFFER: self._watcher.answer_map_offer,
            FabricMethod.TARGET_CREATE: targets.create,
            FabricMethod.TARGET_COMMIT: targets.commit,
            FabricMethod.TARGET_ABORT: targets.abort,
            FabricMethod.TARGET_DESTROY: targets.destroy,
            FabricMethod.TARGET_USAGE: targets.usage,
            FabricMethod.TARGET_RESOLVE: targets.resolve,
            FabricMethod.TARGET_ATTEMPT: targets.attempt_active,
            FabricMethod.REGISTER_READ: replicas.read,
            FabricMethod.REGISTER_PREPARE: replicas.prepare,
            FabricMethod.REGISTER_ACCEPT: replicas.accept,
        }
        handlers: dict[FabricMethod, Handler] = {method: json_handler(call) for method, call in calls.items()}
        handlers[FabricMethod.POOL_CALL] = router.answer
        for method, handler in handlers.items():
            self._fabric.handle(method, handler)
            self._peers.serve_locally(method, handler)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StartError where the start fails."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            address = await self._listen()
            work = asyncio.create_task(self._work(address))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if work.done():
                await work
            _log.info("stopping")
            work.cancel()
            await asyncio.wait({work})
        finally:
            self._handlers.close()
            await self._drpc.close()
            await self._fabric.close()

    async def _listen(self) -> FabricAddress:
        options = self._options
        host = interface_ipv4(options.interface)
        try:
            port = await self._fabric.start(host, options.port)
        except OSError as error:
            raise StartError(f"fabric address {host}:{options.port}: {os.strerror(error.errno or 0)}") from error
        try:
            await self._drpc.start()
        except OSError as error:
            raise StartError(f"dRPC socket in {options.socket_dir}: {error.strerror or error}") from error
        except Fault as fault:
            raise StartError(f"{fault.description}: {fault.resolution}") from fault
        return FabricAddress(options.provider, host, port)

    async def _work(self, address: FabricAddress) -> None:
        options = self._options
        ready = srv_pb2.NotifyReadyReq(
            uri=str(address),
            nctxs=options.fabric_contexts,
            drpcListenerSock=str(options.socket_dir / f"daos_engine_{os.getpid()}.sock"),
            instanceIdx=options.instance,
            ntgts=options.targets,
            incarnation=self._storage.incarnation,
            check_mode=options.check_mode,
        )
        await self._server.notify_ready(ready, options.notify_seconds)
        _log.info("ready at %s, %d targets, incarnation %x", address, options.targets, self._storage.incarnation)
        await self._set_up.wait()
        _log.info("set up as rank %s", self._peers.view.rank)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watcher.run())
            if not options.check_mode:
                tasks.create_task(self._health.run())

    async def _terminate(self) -> None:
        """A newer group map is without us: say so, and die at once, as DAOS's engine does."""
        rank = self._peers.me
        _log.critical("rank %d was excluded from the group: this engine kills itself", rank)
        await self._server.self_terminated(rank, self._storage.incarnation)
        os.kill(os.getpid(), signal.SIGKILL)


async def serve(options: Options) -> None:
    """Run one engine from start to stop. Raises StartError."""
    storage = Storage.open(options.storage, options.nvme_config)
    try:
        engine = Engine(options, storage)
        await engine.run()
    finally:
        storage.close()
