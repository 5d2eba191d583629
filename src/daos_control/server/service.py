"""The server as a whole: its parts, how they are wired, and the order in which they start and stop."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from typing import Final

import grpc

from daos_control.client import ms as ms_client
from daos_control.client.attributes import SYSTEM_GET_PROP
from daos_control.client.connection import Client
from daos_control.client.events import EventForwarder
from daos_control.client.ranks import RankClient
from daos_control.config.options import StartOptions
from daos_control.drpc import DrpcServer
from daos_control.faults.unimplemented import UnimplementedFault
from daos_control.ms.clock import SystemClock
from daos_control.ms.service import ManagementService
from daos_control.ms.settings import ClientNetHint, MsSettings
from daos_control.proto.ctl import network_pb2, smd_pb2, storage_pb2
from daos_control.proto.mgmt import system_pb2
from daos_control.security import tls
from daos_control.security.tls import Transport
from daos_control.server import host_checks, nvme_preparation, problems
from daos_control.server.ctl_firmware import FirmwareHandlers
from daos_control.server.ctl_log_masks import LogMaskHandler
from daos_control.server.ctl_network import NetworkHandlers
from daos_control.server.ctl_nvme import LedHandler, NvmeHandlers
from daos_control.server.ctl_ranks import Context, RankHandlers, budget
from daos_control.server.ctl_service import control_service
from daos_control.server.ctl_storage import StorageHandlers
from daos_control.server.drpc_modules import NO_DATABASE, ServerModules
from daos_control.server.events import Events
from daos_control.server.harness import Harness
from daos_control.server.helper import helper_client
from daos_control.server.instance import Instance, Settings, Stop
from daos_control.server.instance_state import State
from daos_control.server.interceptors import RequestInterceptor
from daos_control.server.joining import GrpcJoiner
from daos_control.server.preflight import Prepared
from daos_control.server.restarts import MIN_SECONDS_DEFAULT, Restarter
from daos_control.server.socket_directory import SocketDirectory
from daos_control.server.storage_settings import StorageSettings
from daos_control.storage import memory
from daos_control.storage.manager import StorageManager
from daos_control.storage.nvme.operations import Nvme
from daos_control.storage.pmem.operations import Pmem
from daos_control.system.events import RasEvent
from daos_control.system.ranks import RankSet
from daos_control.version import DAOS_VERSION

log = logging.getLogger(__name__)

RPC_GRACE_SECONDS = 1.0  # for RPCs under way when the server stops
PROPERTY_SECONDS = 60.0


class Service:
    """A daos_server, from what `preflight.prepare` found.

    `run` is all of its life. Parts start in the order in which they need each other: the sockets that engines call,
    the port that everybody calls, then the engines; they stop in the reverse order.
    """

    def __init__(self, prepared: Prepared, options: StartOptions, sockets: SocketDirectory) -> None:
        config = prepared.config
        self._prepared: Final = prepared
        self._options: Final = options
        self._sockets: Final = sockets
        self._transport: Final = transport_of(prepared)
        self._server_credentials: Final = tls.server_credentials(self._transport)
        self._client: Final = Client(
            tls.client_credentials(self._transport, server_key=True),
            hosts=prepared.addresses.replicas,
            system=config.name,
            port=config.port,
            component="server",
            allow_proxy=options.allow_proxy,
        )
        clock = SystemClock()
        self._events: Final = Events(hostname=prepared.hostname, clock=clock, to_syslog=options.syslog)
        self._harness: Final = Harness(targets=config.engines[0].targets if config.engines else 0)
        self._restarter: Final = Restarter(
            enabled=not config.disable_engine_auto_restart,
            min_seconds=config.engine_auto_restart_min_delay or MIN_SECONDS_DEFAULT,
        )
        self._ms: Final = ManagementService(
            ms_settings(prepared), self._harness, RankClient(self._client), clock, self._events.publish
        )
        self._forwarder: Final = EventForwarder(self._client, prepared.addresses.replicas)
        self._joiner: Final = GrpcJoiner(self._client, address=prepared.addresses.control)
        self._helper: Final = helper_client(config)
        self._storage_ops: Final = StorageManager(
            self._helper, hostname=prepared.hostname, allow_no_dax=config.daos_control.allow_no_dax
        )
        self._pmem: Final = Pmem(self._helper)
        self._nvme: Final = Nvme(self._helper)
        for storage, command in zip(prepared.storages, prepared.commands, strict=True):
            settings = Settings(
                system=config.name,
                storage=storage,
                fault_domain=prepared.fault_domain,
                bootstrap=storage.index == 0 and prepared.addresses.is_bootstrap,
            )
            self._harness.add(
                Instance(
                    settings,
                    ops=self._storage_ops,
                    command=command,
                    joiner=self._joiner,
                    observer=self._events,
                    storage_ready=self._on_storage_ready,
                )
            )
        self._storage: Final = StorageHandlers(
            self._harness.instances,
            self._storage_ops,
            StorageSettings.of(config),
            release=self._ms.close,
            pmem=self._pmem,
            nvme=self._nvme,
        )
        self._events.on_engine_ready(self._on_engine_ready)
        self._events.on_self_terminated(self._on_self_terminated)

    async def run(self, stop: asyncio.Event, started: "asyncio.Future[None] | None" = None) -> None:
        """Serve until `stop` is set; `started` is told when everything listens. Raises the Fault of what failed."""
        await self._check_helper()
        found = self._prepared
        await nvme_preparation.prepare(found.config, found.storages, found.numa_nodes, self._nvme)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._sockets.close)
            stack.push_async_callback(self._client.close)
            stack.push_async_callback(self._ms.close)
            drpc = self._drpc_server()
            self._sockets.remove_engine_sockets()
            await drpc.start()
            stack.push_async_callback(drpc.close)
            rpc = self._grpc_server()
            await rpc.start()
            stack.push_async_callback(rpc.stop, RPC_GRACE_SECONDS)
            log.info(
                "DAOS Control Server v%s (pid %d) listening on %s",
                DAOS_VERSION,
                os.getpid(),
                self._prepared.addresses.control,
            )
            if started is not None:
                started.set_result(None)
            async with self._background():
                await stop.wait()
                log.info("shutting down")

    async def kill_engines(self, how: Stop) -> None:
        """Hurry the shutdown of engines."""
        await self._harness.close(how)

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """The engines, and the tasks that serve them; leaving it stops the engines in order."""
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._events.run(self._forward), name="events"),
                tasks.create_task(self._restarter.run(), name="restarts"),
            ]
            tasks.create_task(self._harness.run(), name="engines")
            if self._options.auto_format:
                helpers.append(tasks.create_task(self._auto_format(), name="format at start"))
            yield
            for helper in helpers:
                helper.cancel()
            await self._harness.close(Stop())

    async def _check_helper(self) -> None:
        """Of this installation's own helper there is nothing to check that costs less than using it."""
        if self._prepared.storages and not self._helper.is_own:
            await self._helper.check()

    # gRPC

    def _grpc_server(self) -> grpc.aio.Server:
        """Raises a Fault where the port is taken."""
        server = grpc.aio.server(
            interceptors=[RequestInterceptor(secure=not self._transport.allow_insecure)],
            # Without this, two servers could share the port, and each get some of the calls.
            options=[("grpc.so_reuseport", 0)],
        )
        server.add_generic_rpc_handlers((self._control_service(),))
        self._ms.register(server)
        address = self._prepared.addresses.listen
        try:
            if self._server_credentials is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, self._server_credentials)
        except RuntimeError as error:
            raise problems.control_port_in_use(
                address, "the port is in use, or the address is not this host's"
            ) from error
        return server

    def _control_service(self) -> grpc.GenericRpcHandler:
        config = self._prepared.config
        ranks = RankHandlers(self._harness, self._restarter)
        masks = LogMaskHandler(self._harness, config.engines, os.environ)
        network = NetworkHandlers(config.provider)

        nvme = NvmeHandlers(
            self._harness.instances,
            self._storage_ops,
            self._nvme,
            disable_hugepages=config.disable_hugepages,
            disable_vfio=config.disable_vfio,
            excluded=config.bdev_exclude,
            huge_count=config.nr_hugepages,
            nodes=sorted({node or 0 for node in self._prepared.numa_nodes}) or [0],
        )
        firmware = FirmwareHandlers(self._pmem, nvme)
        leds = LedHandler(self._harness.instances)

        async def nvme_rebind(request: storage_pb2.NvmeRebindReq, _context: Context) -> storage_pb2.NvmeRebindResp:
            return await nvme.rebind(request)

        async def nvme_add_device(
            request: storage_pb2.NvmeAddDeviceReq, _context: Context
        ) -> storage_pb2.NvmeAddDeviceResp:
            return await nvme.add_device(request)

        async def smd_manage(request: smd_pb2.SmdManageReq, context: Context) -> smd_pb2.SmdManageResp:
            if request.WhichOneof("op") != "led":
                raise UnimplementedFault("/ctl.CtlSvc/SmdManage")
            seconds, margin = budget(context)
            return smd_pb2.SmdManageResp(ranks=await leds.manage(request.led, seconds=seconds - margin))

        async def storage_scan(
            request: storage_pb2.StorageScanReq, context: Context
        ) -> storage_pb2.StorageScanResp:
            seconds, margin = budget(context)
            return await self._storage.storage_scan(request, seconds=seconds - margin)

        async def storage_format(
            request: storage_pb2.StorageFormatReq, _context: Context
        ) -> storage_pb2.StorageFormatResp:
            return await self._format(request)

        async def network_scan(
            request: network_pb2.NetworkScanReq, _context: Context
        ) -> network_pb2.NetworkScanResp:
            return await network.network_scan(request)

        return control_service(
            {
                "StorageScan": storage_scan,
                "StorageFormat": storage_format,
                "StorageNvmeRebind": nvme_rebind,
                "StorageNvmeAddDevice": nvme_add_device,
                "FirmwareQuery": firmware.query,
                "FirmwareUpdate": firmware.update,
                "SmdManage": smd_manage,
                "NetworkScan": network_scan,
                "PrepShutdownRanks": ranks.prep_shutdown,
                "StopRanks": ranks.stop,
                "StartRanks": ranks.start,
                "ResetFormatRanks": ranks.reset_format,
                "SetEngineLogMasks": masks.set_masks,
            }
        )

    # dRPC

    def _drpc_server(self) -> DrpcServer:
        server = DrpcServer(self._sockets.server_socket)
        modules = ServerModules(
            instances=self._harness.instances,
            pools=self._ms,
            properties=self._properties,
            publish=self._events.publish,
            transport=self._transport,
        )
        modules.register(server)
        return server

    async def _properties(self, keys: Sequence[str]) -> dict[str, str]:
        """From the database here where there is one, else from whoever leads."""
        try:
            return self._ms.system_properties(keys)
        except NO_DATABASE:
            request = system_pb2.SystemGetPropReq(sys=self._client.request_name, keys=keys)
            reply = await ms_client.invoke(self._client, SYSTEM_GET_PROP, request, timeout=PROPERTY_SECONDS)
            return dict(reply.properties)

    # What engines and their storage bring about

    async def _on_storage_ready(self, instance: Instance) -> None:
        """The storage of engine 0 holds the system database of a replica: serve it before the engine runs."""
        config, node = self._prepared.config, self._prepared.numa_nodes[instance.index] or 0
        now = await asyncio.to_thread(memory.snapshot)
        if shortage := host_checks.missing_huge_pages(config, instance.storage, node, now):
            log.warning("%s", shortage)
        if instance.index == 0:
            await self._open_database()

    async def _open_database(self) -> None:
        if not self._prepared.addresses.is_replica or self._prepared.database is None or self._ms.is_open:
            return
        await asyncio.to_thread(self._prepared.database.mkdir, mode=0o770, parents=True, exist_ok=True)
        await self._ms.open(self._prepared.database)
        self._joiner.nudge()

    async def _format(self, request: storage_pb2.StorageFormatReq) -> storage_pb2.StorageFormatResp:
        try:
            return await self._storage.storage_format(request)
        finally:
            # A format lets go of the database. Where the storage it is on was left alone, so is the database.
            first = next(iter(self._harness.instances), None)
            if first is not None and first.state.has_process and first.state is not State.STOPPING:
                await self._open_database()

    async def _auto_format(self) -> None:
        """As `dmg storage format` would, once every engine knows what it has."""
        for instance in self._harness.instances:
            await instance.wait_until(
                lambda engine: engine.lives > 0 and engine.state is not State.CHECKING_STORAGE
            )
        if any(instance.state is State.AWAIT_FORMAT for instance in self._harness.instances):
            log.info("formatting storage, as --auto-format says")
            await self._format(storage_pb2.StorageFormatReq())

    def _on_engine_ready(self) -> None:
        self._harness.engine_ready()
        self._ms.engine_ready()

    def _on_self_terminated(self, event: RasEvent) -> None:
        for instance in self._harness.of_ranks(RankSet([event.rank])):
            self._restarter.self_terminated(event.rank, instance)

    async def _forward(self, event: RasEvent) -> None:
        """A state change of this host to the leader, which may be here."""
        try:
            await self._ms.handle_event(event)
        except NO_DATABASE:
            if self._prepared.addresses.replicas == (self._prepared.addresses.control,):
                raise  # there is nobody else to ask
            await self._forwarder.forward(event)


def transport_of(prepared: Prepared) -> Transport:
    section = prepared.config.transport_config
    default = Transport()
    return Transport(
        ca_cert=section.ca_cert,
        cert=section.cert,
        key=section.key,
        client_cert_dir=section.client_cert_dir or default.client_cert_dir,
        allow_insecure=section.allow_insecure,
    )


def ms_settings(prepared: Prepared) -> MsSettings:
    config = prepared.config
    hint = ClientNetHint(
        provider=config.provider,
        crt_timeout=config.crt_timeout,
        net_dev_class=prepared.device_class,
        srv_srx_set=_srx(prepared),
        env_vars=tuple(config.client_env_vars),
    )
    return MsSettings(
        system_name=config.name,
        address=prepared.addresses.control,
        replicas=prepared.addresses.replicas,
        providers=(config.provider,),
        client_net_hints=(hint,),
        hostname=prepared.hostname,
        fault_domain=prepared.fault_domain,
        control_port=config.port,
    )


def _srx(prepared: Prepared) -> int:
    """Whether clients are to use shared receive contexts; -1 where no engine says."""
    config = prepared.config
    if not config.engines:
        return -1
    name = "FI_OFI_RXM_USE_SRX="
    set_ = [entry.removeprefix(name) for entry in config.engines[0].env_vars if entry.startswith(name)]
    if set_ and set_[0].isdecimal():
        return int(set_[0])
    return 0 if config.disable_srx else 1
