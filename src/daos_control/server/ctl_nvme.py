"""CtlSvc for NVMe devices of this host: bind one that was plugged in, hand it to an engine, firmware, and LEDs."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Final, Protocol

from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.faults import ControlError, DaosError, Fault, Status
from daos_control.faults import server as server_faults
from daos_control.faults import storage as storage_faults
from daos_control.proto.ctl import common_pb2, firmware_pb2, smd_pb2, storage_pb2
from daos_control.server.nvme_preparation import running_user
from daos_control.server.storage_host import FormatHost
from daos_control.server.storage_results import response_state
from daos_control.storage.api import Class, EngineStorage, EngineStorageOps
from daos_control.storage.nvme import host as host_facts
from daos_control.storage.nvme import huge_pages
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.controller import NvmeController
from daos_control.storage.nvme.messages import BdevPrepare
from daos_control.storage.nvme.operations import Nvme

log = logging.getLogger(__name__)

_FIRST_TIER: Final = -1
_ENGINE_ERRORS: Final = (DrpcStatusError, FramingError, OSError, TimeoutError)


class NvmeHost(FormatHost, Protocol):
    """An engine whose list of devices can grow."""

    def change_storage(self, storage: EngineStorage) -> None: ...


class NvmeHandlers:
    """StorageNvmeRebind, StorageNvmeAddDevice, and the NVMe part of FirmwareQuery and FirmwareUpdate.

    `nodes` are the NUMA nodes that the huge pages, `huge_count` of them, are shared by.
    """

    def __init__(
        self,
        hosts: Sequence[NvmeHost],
        ops: EngineStorageOps,
        nvme: Nvme,
        *,
        disable_hugepages: bool = False,
        disable_vfio: bool = False,
        excluded: Iterable[str] = (),
        huge_count: int = 0,
        nodes: Sequence[int] = (0,),
    ) -> None:
        self._hosts: Final = hosts
        self._ops: Final = ops
        self._nvme: Final = nvme
        self._disable_hugepages: Final = disable_hugepages
        self._disable_vfio: Final = disable_vfio
        self._excluded: Final = frozenset(PciAddress.parse(str(address)) for address in excluded)
        self._huge_count: Final = huge_count
        self._nodes: Final = nodes
        self._adding: Final = asyncio.Lock()

    async def rebind(self, request: storage_pb2.NvmeRebindReq) -> storage_pb2.NvmeRebindResp:
        """Bind one device to a driver for programs; its failure is in the state of the answer. Raises Fault 107,
        303, and 103 for a device that the configuration excludes."""
        self._check_hugepages("binding an NVMe device")
        address = PciAddress.parse(request.pci_addr)
        self._check_excluded(address)
        host = await asyncio.to_thread(host_facts.snapshot)
        wanted = BdevPrepare(
            pci_allow_list=str(address),
            target_user=running_user(),
            disable_vfio=self._disable_vfio,
            huge_nodes=huge_pages.share(self._huge_count, self._nodes, host),
            enable_vmd=address.behind_vmd or any(d.vmd for d in host.devices if d.address == address),
        )
        try:
            await self._nvme.prepare(wanted)
        except (Fault, ControlError) as error:
            log.error("%s was not bound: %s", address, error)
            return storage_pb2.NvmeRebindResp(state=response_state(error, common_pb2.CTL_ERR_NVME))
        log.info("%s is bound for use by engines", address)
        return storage_pb2.NvmeRebindResp()

    async def add_device(self, request: storage_pb2.NvmeAddDeviceReq) -> storage_pb2.NvmeAddDeviceResp:
        """Add a device to an engine's tier (-1: the first with block devices) and write its daos_nvme.conf anew.

        The configuration file stays as it is. Adding a device that the tier has already only writes the file.
        Raises Fault 107, 303, 103; ControlError for an unknown engine or tier, or a device that another tier has.
        """
        self._check_hugepages("adding an NVMe device")
        index = request.engine_index
        host = next((host for host in self._hosts if host.index == index), None)
        if host is None:
            raise ControlError(f"engine with index {index} not found")
        address = PciAddress.parse(request.pci_addr)
        self._check_excluded(address)
        async with self._adding:
            changed = self._with_device(host, address, request.storage_tier_index)
            try:
                await self._ops.write_nvme_config(changed)
            except (Fault, ControlError) as error:
                log.error("engine %d: its daos_nvme.conf was not written: %s", index, error)
                return storage_pb2.NvmeAddDeviceResp(state=response_state(error, common_pb2.CTL_ERR_NVME))
            host.change_storage(changed)
        log.info("engine %d: added %s", index, address)
        return storage_pb2.NvmeAddDeviceResp()

    async def firmware_query(
        self, request: firmware_pb2.FirmwareQueryReq
    ) -> list[firmware_pb2.NvmeFirmwareQueryResp]:
        """Devices and the firmware they run. Faults 1, 303, 305, 801-803."""
        found = await self._nvme.firmware_query(
            request.deviceIDs, model=request.modelID, revision=request.firmwareRev
        )
        return [firmware_pb2.NvmeFirmwareQueryResp(device=controller_message(device)) for device in found]

    async def firmware_update(
        self, request: firmware_pb2.FirmwareUpdateReq
    ) -> list[firmware_pb2.NvmeFirmwareUpdateResp]:
        """Update devices while no engine runs. Fault 612 where one does; 1, 303-306, 801-803; ControlError."""
        self.check_engines_stopped("firmware update")
        if not request.firmwarePath:
            raise ControlError("missing path to firmware file")
        results = await self._nvme.firmware_update(
            request.firmwarePath, request.deviceIDs, model=request.modelID, revision=request.firmwareRev
        )
        return [
            firmware_pb2.NvmeFirmwareUpdateResp(pciAddr=result.device.pci_addr, error=result.error)
            for result in results
        ]

    def check_engines_stopped(self, action: str) -> None:
        """Fault 612 where an engine runs; ControlError where it has no rank yet."""
        for host in self._hosts:
            if host.is_started:
                if host.rank is None:
                    raise ControlError("unidentified server rank is running")
                raise server_faults.instances_not_stopped(action, host.rank)

    def _with_device(self, host: NvmeHost, address: PciAddress, tier_index: int) -> EngineStorage:
        tiers = [tier for tier in host.storage.bdevs if tier_index in (_FIRST_TIER, tier.index)]
        if not tiers:
            if tier_index == _FIRST_TIER:
                raise ControlError(f"engine {host.index}: no bdev storage tiers in config")
            raise ControlError(
                f"engine {host.index}: bdev storage tier with index {tier_index} not found in config"
            )
        chosen = tiers[0]
        if chosen.storage_class is not Class.NVME:
            what = f"class {chosen.storage_class.value}"
            raise ControlError(f"engine {host.index}: tier {chosen.index} is of {what}: it has no NVMe devices")
        for other in self._hosts:
            for tier in other.storage.bdevs:
                same = other.index == host.index and tier.index == chosen.index
                if not same and str(address) in tier.devices:
                    raise ControlError(f"{address} belongs to engine {other.index}, tier {tier.index}, already")
        devices = {PciAddress.parse(device) for device in chosen.devices} | {address}
        grown = replace(chosen, devices=tuple(str(device) for device in sorted(devices)))
        bdevs = tuple(grown if tier is chosen else tier for tier in host.storage.bdevs)
        return replace(host.storage, bdevs=bdevs)

    def _check_hugepages(self, what: str) -> None:
        if self._disable_hugepages:
            raise storage_faults.hugepages_disabled(what)

    def _check_excluded(self, address: PciAddress) -> None:
        if {address, address.endpoint} & self._excluded:
            raise storage_faults.device_in_use(str(address), "bdev_exclude of the configuration reserves it")


class LedHandler:
    """SmdManage, as far as it is about LEDs: one call to an engine for each device."""

    def __init__(self, hosts: Sequence[FormatHost]) -> None:
        self._hosts: Final = hosts

    async def manage(
        self, request: smd_pb2.LedManageReq, *, seconds: float = 60.0
    ) -> list[smd_pb2.SmdManageResp.RankResp]:
        """The result for each device of `ids`: uuids and PCI addresses, by commas; all for none.

        Faults 610 and 611 where no engine can be asked; ControlError where ids are unknown.
        """
        if not any(host.is_started for host in self._hosts):
            raise server_faults.harness_not_started()
        ready = [host for host in self._hosts if host.is_ready and host.rank is not None]
        if not ready:
            raise server_faults.data_plane_not_started()
        wanted = {part.strip() for part in request.ids.split(",") if part.strip()}
        chosen: list[tuple[FormatHost, list[str]]] = []
        matched: set[str] = set()
        for host in ready:
            addresses: dict[str, None] = {}
            for device in await self._devices(host, seconds):
                names = {device.uuid, device.ctrlr.pci_addr} - {""}
                if wanted and not names & wanted:
                    continue
                if not device.ctrlr.pci_addr:
                    if not wanted:
                        continue
                    raise ControlError(f"device UUID {device.uuid} not resolved to a PCI address")
                matched |= names & wanted
                addresses[device.ctrlr.pci_addr] = None
            if addresses:
                chosen.append((host, list(addresses)))
        if missing := sorted(wanted - matched):
            raise ControlError(f"ids requested but not found: {missing}")
        if not chosen:
            raise ControlError("no device of this host has a PCI address, and only those have LEDs")
        chosen.sort(key=lambda pair: pair[0].rank or 0)
        return [await self._manage_one(host, found, request, seconds) for host, found in chosen]

    async def _devices(self, host: FormatHost, seconds: float) -> Iterable[smd_pb2.SmdDevice]:
        listed = await host.call(Method.SMD_LIST_DEVS, smd_pb2.SmdDevReq(), timeout=seconds)
        assert isinstance(listed, smd_pb2.SmdDevResp)
        if listed.status != 0:
            raise DaosError(listed.status, f"listing the devices of engine {host.index}")
        return listed.devices

    async def _manage_one(
        self, host: FormatHost, addresses: Sequence[str], request: smd_pb2.LedManageReq, seconds: float
    ) -> smd_pb2.SmdManageResp.RankResp:
        rank = host.rank or 0
        answer = smd_pb2.SmdManageResp.RankResp(rank=rank)
        for address in addresses:
            wanted = smd_pb2.LedManageReq()
            wanted.CopyFrom(request)
            wanted.ids = address
            result = answer.results.add()
            if not host.is_ready:
                result.status = int(Status.UNREACH)
            else:
                try:
                    reply = await host.call(Method.LED_MANAGE, wanted, timeout=seconds)
                except _ENGINE_ERRORS as error:
                    raise ControlError(f"rank {rank}: LED of {address}: {error}") from error
                assert isinstance(reply, smd_pb2.DevManageResp)
                result.status = reply.status
                if reply.HasField("device"):
                    result.device.CopyFrom(reply.device)
            if result.status != 0 and not result.HasField("device"):
                result.device.ctrlr.pci_addr = address
        return answer


def controller_message(controller: NvmeController) -> smd_pb2.NvmeController:
    """A controller that the helper found."""
    message = smd_pb2.NvmeController(
        model=controller.model,
        serial=controller.serial,
        pci_addr=controller.pci_addr,
        fw_rev=controller.fw_rev,
        vendor_id=controller.vendor_id,
        socket_id=controller.socket_id,
        dev_state=smd_pb2.NORMAL,
        namespaces=[smd_pb2.NvmeController.Namespace(id=n.id, size=n.size) for n in controller.namespaces],
    )
    if controller.health_stats is not None:
        message.health_stats.CopyFrom(smd_pb2.BioHealthResp(**asdict(controller.health_stats)))
    return message
