"""The engine's dRPC methods: what may be called when, and how an error becomes a reply."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from daos_control.drpc import DrpcServer, Method
from daos_control.engine import log
from daos_control.engine.devices import Devices
from daos_control.engine.errors import from_os_error
from daos_control.engine.group_map import GroupEngine, GroupMap
from daos_control.engine.peers import Peers
from daos_control.engine.pool_handlers import PoolHandlers
from daos_control.engine.pool_health import PoolHealth
from daos_control.engine.pool_router import PoolRouter, failed
from daos_control.engine.upcalls import Server
from daos_control.engine.watcher import Watcher
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto.ctl import server_pb2, smd_pb2
from daos_control.proto.mgmt import pool_pb2, svc_pb2
from daos_control.system.member import NIL_RANK

# The server records a new pool when it has our reply, and drops news of pools that it is still recording.
_NEWS_AFTER_REPLY_SECONDS = 0.02

_log = log.facility("mgmt")


class Handlers:
    """Serves dRPC. `on_set_up` is called once, when the server has finished setting this engine up."""

    def __init__(
        self,
        peers: Peers,
        watcher: Watcher,
        server: Server,
        pools: PoolHandlers,
        router: PoolRouter,
        health: PoolHealth,
        devices: Devices,
        *,
        check_mode: bool,
        on_set_up: Callable[[], None],
    ) -> None:
        self._peers = peers
        self._watcher = watcher
        self._server = server
        self._pools = pools
        self._router = router
        self._health = health
        self._devices = devices
        self._check_mode = check_mode
        self._on_set_up = on_set_up
        self._is_set_up = False
        self._map_lock = asyncio.Lock()
        self._news: set[asyncio.Task[None]] = set()

    def register(self, drpc: DrpcServer) -> None:
        plain: dict[Method, Callable[[Any], Awaitable[Message]]] = {
            Method.SET_RANK: self.set_rank,
            Method.SET_UP: self.set_up,
            Method.GROUP_UPDATE: self.group_update,
            Method.PING_RANK: self.ping_rank,
            Method.PREP_SHUTDOWN: self.prep_shutdown,
            Method.SET_LOG_MASKS: self.set_log_masks,
            Method.GROUP_STATUS_GET: self.group_status,
            Method.SMD_LIST_DEVS: self.list_devices,
            Method.SMD_LIST_POOLS: self.list_smd_pools,
            Method.BIO_HEALTH_QUERY: self.device_health,
            Method.LED_MANAGE: self.manage_led,
            Method.POOL_CREATE: self.pool_create,
            Method.POOL_DESTROY: self.pool_destroy,
        }
        for method, handler in plain.items():
            drpc.handle(method, _answering(method, handler))
        for method in self._router.methods:
            drpc.handle(method, _answering(method, self._routed(method)))

    def _routed(self, method: Method) -> Callable[[Any], Awaitable[Message]]:
        async def run(request: Any) -> Message:
            self._check_serving()
            try:
                return await self._router.route(method, request)
            except DaosError as error:
                # Before a pool is destroyed its handles are evicted; only NO_SERVICE lets the server wait with it.
                unreachable = error.status in (Status.UNREACH, Status.TIMEDOUT, Status.OOG)
                if method is Method.POOL_EVICT and unreachable:
                    raise DaosError(Status.NO_SERVICE, str(error)) from error
                raise

        return run

    def _check_serving(self) -> None:
        """Raises DaosError where pools are not served: AGAIN before SetUp, NOTAPPLICABLE in check mode."""
        if not self._is_set_up:
            raise DaosError(Status.AGAIN, "this engine is not set up yet")
        if self._check_mode:
            raise DaosError(Status.NOTAPPLICABLE, "this engine runs in check mode")

    async def set_rank(self, request: svc_pb2.SetRankReq) -> Message:
        if request.rank == NIL_RANK or request.map_version == 0:
            raise DaosError(Status.INVAL, "a rank and a version of the group map are needed")
        if not self._peers.view.set_rank(request.rank, request.map_version):
            raise DaosError(Status.INVAL, f"this engine has rank {self._peers.view.rank} already")
        _log.info("rank %d, group map from version %d on", request.rank, request.map_version)
        return svc_pb2.DaosResp()

    async def set_up(self, _request: Message) -> Message:
        """Once; a second one changes nothing (DAOS's engine answers 0 to it and aborts)."""
        if self._peers.view.rank is None:
            raise DaosError(Status.PROTO, "SetUp came before SetRank")
        if self._is_set_up:
            _log.warning("SetUp came a second time: nothing to do")
        else:
            self._is_set_up = True
            self._on_set_up()
        return svc_pb2.DaosResp()

    async def group_update(self, request: svc_pb2.GroupUpdateReq) -> Message:
        if self._peers.view.rank is None:
            raise DaosError(Status.UNINIT, "a group map came before the rank")
        engines = {e.rank: GroupEngine(e.rank, e.uri, e.incarnation) for e in request.engines}
        async with self._map_lock:
            await self._watcher.receive_map(GroupMap(request.map_version, engines))
        return svc_pb2.GroupUpdateResp()

    async def group_status(self, request: svc_pb2.GetGroupStatusReq) -> Message:
        version = self._peers.view.map.version
        if request.map_version > version:
            raise DaosError(Status.GRPVER, f"group map version {version} is all that is known here")
        return svc_pb2.GetGroupStatusResp(dead_ranks=self._watcher.dead_ranks)

    async def ping_rank(self, _request: svc_pb2.PingRankReq) -> Message:
        return svc_pb2.DaosResp()

    async def prep_shutdown(self, _request: svc_pb2.PrepShutdownReq) -> Message:
        _log.info("a shutdown is being prepared: no rank is excluded from pools any more")
        self._health.pause()
        return svc_pb2.DaosResp()

    async def set_log_masks(self, request: server_pb2.SetLogMasksReq) -> Message:
        now = log.apply_masks(request.masks)
        _log.info("log masks are now %s", now)
        return server_pb2.SetLogMasksResp()

    async def list_devices(self, _request: smd_pb2.SmdDevReq) -> Message:
        return self._devices.list_devices(self._peers.me)

    async def list_smd_pools(self, _request: smd_pb2.SmdPoolReq) -> Message:
        return self._devices.list_pools()

    async def device_health(self, request: smd_pb2.BioHealthReq) -> Message:
        return self._devices.health(request.dev_uuid)

    async def manage_led(self, request: smd_pb2.LedManageReq) -> Message:
        return self._devices.manage_led(request.ids)

    async def pool_create(self, request: pool_pb2.PoolCreateReq) -> Message:
        self._check_serving()
        _log.info("pool %s: create on ranks %s, tiers %s", request.uuid, request.ranks, request.tier_bytes)
        reply = await self._pools.create(request)
        self._tell(request.uuid.lower(), tuple(reply.svc_reps))
        return reply

    def _tell(self, uuid: str, service_ranks: tuple[int, ...]) -> None:
        async def after_reply() -> None:
            await asyncio.sleep(_NEWS_AFTER_REPLY_SECONDS)
            await self._server.pool_replicas_updated(self._peers.me, uuid, service_ranks, 1)

        task = asyncio.get_running_loop().create_task(after_reply())
        self._news.add(task)
        task.add_done_callback(self._news.discard)

    async def pool_destroy(self, request: pool_pb2.PoolDestroyReq) -> Message:
        self._check_serving()
        _log.info("pool %s: destroy on ranks %s", request.id, request.svc_ranks)
        return await self._pools.destroy(request)

    def close(self) -> None:
        for task in self._news:
            task.cancel()


def _answering(
    method: Method, handler: Callable[[Any], Awaitable[Message]]
) -> Callable[[Message], Awaitable[Message]]:
    """`handler`, with the errors that have a DAOS status turned into a reply of that status."""

    async def run(request: Message) -> Message:
        try:
            return await handler(request)
        except DaosError as error:
            _log.error("%s: %s", method.name, error)
            return failed(method, error)
        except OSError as error:
            _log.exception("%s failed", method.name)
            return failed(method, from_os_error(error))

    return run
