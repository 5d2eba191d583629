"""The NVMe part of a storage scan: what the engines tell of their devices."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.faults import Code, ControlError, DaosError, Fault
from daos_control.faults import pbin as pbin_faults
from daos_control.ms.edges import EngineNotReadyError
from daos_control.proto.ctl import common_pb2, smd_pb2, storage_nvme_pb2, storage_scm_pb2
from daos_control.server import nvme_space
from daos_control.server.ctl_nvme import controller_message
from daos_control.server.storage_host import FormatHost, has_emulated_bdevs
from daos_control.server.storage_results import response_state
from daos_control.server.storage_settings import StorageSettings
from daos_control.storage.api import Class, Role
from daos_control.storage.nvme import pcie
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.operations import Nvme
from daos_control.system.member import NIL_RANK

log = logging.getLogger(__name__)

_SCANNABLE = frozenset({smd_pb2.NORMAL, smd_pb2.EVICTED, smd_pb2.NEW})
_HAVE_HEALTH = frozenset({smd_pb2.NORMAL, smd_pb2.EVICTED})

_Errors = (Fault, ControlError, DaosError, DrpcStatusError, FramingError, OSError, TimeoutError)


class NvmeScanner:
    """Asks the engines that run; devices of engines that do not are SPDK's to find (`devices`), which takes no part
    for the emulated classes."""

    def __init__(self, hosts: Sequence[FormatHost], settings: StorageSettings, devices: Nvme | None = None) -> None:
        self._hosts: Final = hosts
        self._settings: Final = settings
        self._devices: Final = devices

    async def scan(
        self,
        request: storage_nvme_pb2.ScanNvmeReq,
        namespaces: Iterable[storage_scm_pb2.ScmNamespace],
        *,
        seconds: float,
    ) -> storage_nvme_pb2.ScanNvmeResp:
        """Controllers with their devices; `namespaces` are those of the SCM part, for the sizes of metadata.

        With several engines, the first failure is in the state and the others' devices are kept; of a single one it
        is raised.
        """
        empty = storage_nvme_pb2.ScanNvmeResp(state=common_pb2.ResponseState())
        hosts = [host for host in self._hosts if host.storage.bdevs]
        if self._settings.disable_hugepages and not any(has_emulated_bdevs(host.storage) for host in hosts):
            return empty
        if not any(host.is_started for host in hosts):
            if request.Meta and not hosts:
                return empty
            if request.Meta:
                raise ControlError("scan bdevs: meta smd usage info unavailable as engines stopped")
            reply = await self._without_engines(hosts)
            _trim(request, reply)
            return reply
        reply = await self._ask(hosts, request, list(namespaces), seconds)
        if request.Meta:
            nvme_space.set_usable(reply.ctrlrs)
        _trim(request, reply)
        return reply

    async def _ask(
        self,
        hosts: Sequence[FormatHost],
        request: storage_nvme_pb2.ScanNvmeReq,
        namespaces: Sequence[storage_scm_pb2.ScmNamespace],
        seconds: float,
    ) -> storage_nvme_pb2.ScanNvmeResp:
        found = await asyncio.gather(
            *(self._ask_one(host, request, namespaces, seconds) for host in hosts), return_exceptions=True
        )
        controllers: list[smd_pb2.NvmeController] = []
        failure: Exception | None = None
        for host, answer in zip(hosts, found, strict=True):
            if not isinstance(answer, BaseException):
                controllers += answer
                continue
            if not isinstance(answer, _Errors):
                raise answer
            error = answer if isinstance(answer, Fault) else ControlError(f"instance {host.index}: {answer}")
            if len(self._hosts) == 1:
                raise error
            log.warning("engine %d did not tell its devices: %s", host.index, answer)
            failure = failure or error
        return storage_nvme_pb2.ScanNvmeResp(
            ctrlrs=controllers, state=response_state(failure, common_pb2.CTL_ERR_NVME)
        )

    async def _ask_one(
        self,
        host: FormatHost,
        request: storage_nvme_pb2.ScanNvmeReq,
        namespaces: Sequence[storage_scm_pb2.ScmNamespace],
        seconds: float,
    ) -> list[smd_pb2.NvmeController]:
        if not host.is_started:
            return list((await self._without_engines([host])).ctrlrs)
        async with asyncio.timeout(seconds):
            await host.wait_until(lambda engine: engine.is_ready or not engine.is_started)
            rank = host.rank if host.is_ready else None
            if rank is None:
                raise EngineNotReadyError(f"engine {host.index} ended")
            listed = await host.call(Method.SMD_LIST_DEVS, smd_pb2.SmdDevReq(), timeout=seconds)
            assert isinstance(listed, smd_pb2.SmdDevResp)
            if listed.status != 0:
                raise DaosError(listed.status, "listing its devices")
            asked = storage_nvme_pb2.ScanNvmeReq()
            asked.CopyFrom(request)
            if request.Meta:
                asked.MetaSize, asked.RdbSize = self._metadata_sizes(host.index, rank, namespaces, request.MemRatio)
            return await _controllers(host, rank, listed.devices, asked, seconds)

    async def _without_engines(self, hosts: Sequence[FormatHost]) -> storage_nvme_pb2.ScanNvmeResp:
        """The configured devices as SPDK finds them; all of this host where no engine is configured."""
        tiers = [tier for host in hosts for tier in host.storage.bdevs if tier.storage_class is Class.NVME]
        if (self._devices is None or hosts) and not tiers:
            return storage_nvme_pb2.ScanNvmeResp(state=common_pb2.ResponseState())
        roles = {device: tier.roles for tier in tiers for device in tier.devices}
        vmd = any(host.storage.nvme.vmd for host in hosts)
        try:
            if self._devices is None:
                raise pbin_faults.missing_software("SPDK", "a scan while engines are stopped", "SPDK")
            found = await self._devices.scan(sorted(roles), vmd=vmd)
        except Fault as fault:
            # Where no engine is to have NVMe devices, a host without SPDK has nothing wrong with it.
            failure = fault if tiers or fault.code != Code.MISSING_SOFTWARE_DEPENDENCY else None
            return storage_nvme_pb2.ScanNvmeResp(state=response_state(failure, common_pb2.CTL_ERR_NVME))
        reply = storage_nvme_pb2.ScanNvmeResp(state=common_pb2.ResponseState())
        for device in found:
            message = controller_message(device)
            address = PciAddress.parse(device.pci_addr)
            bits = int(roles.get(str(address), roles.get(str(address.endpoint), Role.NONE)))
            if tiers:
                message.smd_devices.add(role_bits=bits, rank=NIL_RANK)
            reply.ctrlrs.append(message)
        return reply

    def _metadata_sizes(
        self, index: int, rank: int, namespaces: Sequence[storage_scm_pb2.ScmNamespace], ratio: float
    ) -> tuple[int, int]:
        """Bytes per target of a pool's metadata, and of its RDB file, if the pool were to take all SCM."""
        mount = next((n.mount for n in namespaces if n.HasField("mount") and n.mount.rank == rank), None)
        size = mount.usable_bytes // self._settings.targets[index] if mount is not None else 0
        if ratio > 0:  # metadata on SSD may be larger than what of it is kept in memory
            size = int(size / ratio)
        return (size, self._settings.rdb_bytes(index)) if size else (0, 0)


async def _controllers(
    host: FormatHost,
    rank: int,
    devices: Iterable[smd_pb2.SmdDevice],
    request: storage_nvme_pb2.ScanNvmeReq,
    seconds: float,
) -> list[smd_pb2.NvmeController]:
    """The engine's devices, put below their controllers as a scan lists them."""
    found: dict[str, smd_pb2.NvmeController] = {}
    for number, device in enumerate(devices):
        if not device.HasField("ctrlr"):
            raise ControlError(f"smd {device.uuid!r} has no ctrlr ref")
        # Emulated devices have no address; each is a controller of its own.
        key = device.ctrlr.pci_addr or f"FFFF:00:{number:X}.F"
        if key not in found:
            found[key] = smd_pb2.NvmeController()
            found[key].CopyFrom(device.ctrlr)
            for name in ("smd_devices", "health_stats", "pci_cfg"):
                found[key].ClearField(name)
        controller = found[key]
        if device.ctrlr.dev_state not in _SCANNABLE:
            continue
        health = None
        if request.Health and not controller.HasField("health_stats") and device.ctrlr.dev_state in _HAVE_HEALTH:
            health = await _health(host, device.uuid, request, seconds)
            if request.LinkStats:
                _add_link(health, device.ctrlr.pci_cfg)
            controller.health_stats.CopyFrom(health)
        controller.smd_devices.append(_device(device, rank, request, health))
    return [found[key] for key in sorted(found) if found[key].dev_state in _SCANNABLE]


async def _health(
    host: FormatHost, uuid: str, request: storage_nvme_pb2.ScanNvmeReq, seconds: float
) -> smd_pb2.BioHealthResp:
    query = smd_pb2.BioHealthReq(dev_uuid=uuid)
    if request.Meta:
        query.meta_size, query.rdb_size = request.MetaSize, request.RdbSize
    health = await host.call(Method.BIO_HEALTH_QUERY, query, timeout=seconds)
    assert isinstance(health, smd_pb2.BioHealthResp)
    if health.status != 0:
        raise DaosError(health.status, f"the health of device {uuid}")
    return health


def _add_link(health: smd_pb2.BioHealthResp, config: str) -> None:
    """The PCIe link, out of the configuration space that the engine sends in hexadecimal."""
    try:
        link = pcie.link(bytes.fromhex(config))
    except ValueError:
        log.warning("an engine sent a PCI configuration space that is no hexadecimal number")
        return
    if link is not None:
        health.link_port_id = link.port
        health.link_max_speed, health.link_max_width = link.max_speed, link.max_width
        health.link_neg_speed, health.link_neg_width = link.speed, link.width


def _device(
    device: smd_pb2.SmdDevice,
    rank: int,
    request: storage_nvme_pb2.ScanNvmeReq,
    health: smd_pb2.BioHealthResp | None,
) -> smd_pb2.SmdDevice:
    """As little as is asked for, so that equal hosts give equal answers."""
    if not request.Meta:
        return smd_pb2.SmdDevice(
            rank=rank, role_bits=device.role_bits, ctrlr_namespace_id=device.ctrlr_namespace_id
        )
    listed = smd_pb2.SmdDevice()
    listed.CopyFrom(device)
    listed.ClearField("ctrlr")
    listed.rank, listed.meta_size, listed.rdb_size = rank, request.MetaSize, request.RdbSize
    if health is not None:
        for name in ("total_bytes", "avail_bytes", "cluster_size", "meta_wal_size", "rdb_wal_size"):
            setattr(listed, name, getattr(health, name))
    return listed


def _trim(request: storage_nvme_pb2.ScanNvmeReq, reply: storage_nvme_pb2.ScanNvmeResp) -> None:
    for controller in reply.ctrlrs:
        if not request.Health:
            controller.ClearField("health_stats")
        if request.Basic:
            for name in ("smd_devices", "serial", "model", "fw_rev"):
                controller.ClearField(name)
