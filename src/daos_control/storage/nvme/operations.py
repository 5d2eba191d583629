"""What the server and its command line ask of NVMe devices, through the privileged helper."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from daos_control.faults import ControlError, Fault
from daos_control.faults import bdev as faults
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.controller import NvmeController
from daos_control.storage.nvme.messages import (
    BdevPrepare,
    BdevPrepareReply,
    BdevScan,
    BdevScanReply,
    FirmwareUpdateResult,
    NvmeFirmwareQuery,
    NvmeFirmwareQueryReply,
    NvmeFirmwareUpdate,
    NvmeFirmwareUpdateReply,
)

log = logging.getLogger(__name__)


class Nvme:
    """One operation at a time: two programs cannot drive one device. Every call may raise a Fault."""

    def __init__(self, helper: HelperClient) -> None:
        self._helper: Final = helper
        self._lock: Final = asyncio.Lock()

    async def scan(self, devices: Sequence[str] = (), *, vmd: bool = False) -> tuple[NvmeController, ...]:
        """The controllers at these addresses, all for none. Faults 1, 303, 304, 801-803."""
        async with self._lock:
            reply: BdevScanReply = await self._helper.call(BdevScan(device_list=tuple(devices), vmd_enabled=vmd))
        return reply.controllers

    async def prepare(self, request: BdevPrepare) -> BdevPrepareReply:
        """Bind devices and allocate huge pages. Faults 103, 300, 303, 304, 310, 311."""
        async with self._lock:
            reply: BdevPrepareReply = await self._helper.call(request)
        return reply

    async def clean(self, *, allowed: str = "", blocked: str = "") -> BdevPrepareReply | None:
        """Remove what dead programs left: their huge pages, and the lock files of the devices in the lists, of all
        without lists. A failure is only logged: what comes next tells whether it matters."""
        request = BdevPrepare(
            clean_spdk_hugepages=True,
            clean_spdk_lockfiles=True,
            clean_spdk_lockfiles_any=not allowed and not blocked,
            pci_allow_list=allowed,
            pci_block_list=blocked,
        )
        try:
            reply = await self.prepare(request)
        except (Fault, ControlError) as error:
            log.error("what dead programs left of SPDK was not removed: %s", error)
            return None
        log.debug("removed %d huge pages and %s", reply.nr_hugepages_removed, list(reply.lockfiles_removed))
        return reply

    async def reset(self, request: BdevPrepare) -> BdevPrepareReply:
        """Give the devices of a `prepare` request back to the kernel; where VMDs are among them, also what was
        left without a driver when they were prepared."""
        given_back = replace(request, hugepage_count=0, huge_nodes="", reset_=True)
        reply = await self.prepare(given_back)
        if reply.vmd_prepared:
            await self.prepare(replace(given_back, pci_allow_list="", pci_block_list="", enable_vmd=False))
        return reply

    async def firmware_query(
        self, devices: Sequence[str] = (), *, model: str = "", revision: str = ""
    ) -> tuple[NvmeController, ...]:
        """Devices with the firmware they run. Faults 1, 303, 305, 801-803."""
        request = NvmeFirmwareQuery(device_addrs=tuple(devices), model_id=model, firmware_rev=revision)
        async with self._lock:
            reply: NvmeFirmwareQueryReply = await self._helper.call(request)
        return tuple(result.device for result in reply.results)

    async def firmware_update(
        self, path: str, devices: Sequence[str] = (), *, model: str = "", revision: str = ""
    ) -> tuple[FirmwareUpdateResult, ...]:
        """Faults 1, 303-306, 801-803; a device's own failure is in its result."""
        request = NvmeFirmwareUpdate(
            firmware_path=path, device_addrs=tuple(devices), model_id=model, firmware_rev=revision
        )
        async with self._lock:
            reply: NvmeFirmwareUpdateReply = await self._helper.call(request)
        return reply.results


def check_access(user: str, *, disable_vfio: bool, iommu: bool) -> None:
    """Whether a user can use NVMe devices at all: Faults 310 and 311."""
    if user != "root":
        if disable_vfio:
            raise faults.non_root_vfio_disabled()
        if not iommu:
            raise faults.no_iommu()


def with_backing(devices: Iterable[str], controllers: Iterable[NvmeController]) -> tuple[str, ...]:
    """Addresses with those of VMDs replaced by what was found behind them, in order."""
    behind: dict[PciAddress, list[PciAddress]] = {}
    for controller in controllers:
        address = PciAddress.parse(controller.pci_addr)
        if address.behind_vmd:
            behind.setdefault(address.endpoint, []).append(address)
    wanted = [PciAddress.parse(device) for device in devices]
    return tuple(str(a) for a in sorted({found for one in wanted for found in behind.get(one, [one])}))
