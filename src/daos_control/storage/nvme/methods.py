"""The helper's handlers for NVMe. What talks to SPDK is imported by the requests that need it."""

import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from daos_control.faults import ControlError
from daos_control.storage.helper.protocol import BdevFormat, BdevFormatReply, DeviceFormatReply, WireFault
from daos_control.storage.nvme import binding, huge_pages, kernel
from daos_control.storage.nvme import host as host_facts
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.binding import Choice, Plan
from daos_control.storage.nvme.host import LOCK_DIRECTORY
from daos_control.storage.nvme.kernel import Kernel
from daos_control.storage.nvme.messages import (
    BdevPrepare,
    BdevPrepareReply,
    BdevScan,
    BdevScanReply,
    FirmwareQueryResult,
    NvmeFirmwareQuery,
    NvmeFirmwareQueryReply,
    NvmeFirmwareUpdate,
    NvmeFirmwareUpdateReply,
)

ROOT_FOR_TESTS: Final = "DAOS_CONTROL_TEST_ROOT"
"""Names a directory that has a dev, proc, sys and var. Neither sudo nor systemd hands it on to the helper."""


def root() -> Path:
    return Path(os.environ.get(ROOT_FOR_TESTS) or "/")


def prepare(request: BdevPrepare) -> BdevPrepareReply:
    """Clean up, give back, or prepare, as the request says. Faults 103, 303, 304, 310, 311 and 300."""
    where = root()
    choice = Choice.of(request.pci_allow_list, request.pci_block_list, vmd=request.enable_vmd)
    if request.clean_spdk_hugepages or request.clean_spdk_lockfiles:
        return _clean(request, choice, where)
    machine = Kernel(where)
    host = host_facts.snapshot(where)
    if request.reset_:
        plan = binding.plan_reset(host, choice)
        _log(plan)
        kernel.apply(plan, machine)
        return BdevPrepareReply(vmd_prepared=plan.vmd)
    user = request.target_user or "root"
    plan = Plan()
    if not request.pages_only:
        plan = binding.plan_prepare(host, choice, disable_vfio=request.disable_vfio, target_is_root=_is_root(user))
    pages = huge_pages.plan(host, request.huge_nodes, request.hugepage_count)
    _log(plan)
    kernel.allocate(pages, host.page_kib, machine)
    directories = kernel.mount_huge_pages(machine)
    kernel.apply(plan, machine)
    kernel.give_to(user, plan, directories, machine)
    return BdevPrepareReply(vmd_prepared=plan.vmd)


def scan(request: BdevScan) -> BdevScanReply:
    """Faults 1, 303, 304 and 801-803."""
    import asyncio

    from daos_control.storage.nvme import devices

    wanted = frozenset(PciAddress.parse(text) for text in request.device_list)
    found = asyncio.run(devices.scan(wanted, vmd=request.vmd_enabled, root=root()))
    return BdevScanReply(tuple(found), request.vmd_enabled)


def format_tier(request: BdevFormat) -> BdevFormatReply:
    """A tier of class nvme: each device has its own outcome. Faults 1, 303, 802 and 803 are of the whole tier."""
    import asyncio

    from daos_control.storage.nvme import devices

    wanted = frozenset(PciAddress.parse(text) for text in request.properties.device_list)
    if not wanted:
        return BdevFormatReply({})
    outcome = asyncio.run(devices.format(wanted, vmd=request.vmd_enabled, force=request.force, root=root()))
    return BdevFormatReply(
        {
            str(device): DeviceFormatReply(fault is None, None if fault is None else WireFault.of(fault))
            for device, fault in sorted(outcome.items())
        }
    )


def firmware_query(request: NvmeFirmwareQuery) -> NvmeFirmwareQueryReply:
    """Faults 1, 303, 305 and 801-803."""
    import asyncio

    from daos_control.storage.nvme import devices

    wanted = [PciAddress.parse(text) for text in request.device_addrs]
    found = asyncio.run(devices.firmware_query(wanted, request.model_id, request.firmware_rev, root=root()))
    return NvmeFirmwareQueryReply(tuple(FirmwareQueryResult(device) for device in found))


def firmware_update(request: NvmeFirmwareUpdate) -> NvmeFirmwareUpdateReply:
    """Faults 1, 303-306 and 801-803; a device's own failure is in its result."""
    import asyncio

    from daos_control.storage.nvme import devices

    if not request.firmware_path:
        raise ControlError("missing path to firmware file")
    wanted = [PciAddress.parse(text) for text in request.device_addrs]
    results = asyncio.run(
        devices.firmware_update(
            wanted, request.model_id, request.firmware_rev, Path(request.firmware_path), root=root()
        )
    )
    return NvmeFirmwareUpdateReply(tuple(results))


def _clean(request: BdevPrepare, choice: Choice, where: Path) -> BdevPrepareReply:
    pages = 0
    locks: list[str] = []
    if request.clean_spdk_hugepages:
        directories = huge_pages.huge_page_mounts(host_facts.current_mounts(where))
        pages = huge_pages.clean_map_files(directories, where / "proc")
    if request.clean_spdk_lockfiles:
        directory = where / LOCK_DIRECTORY.relative_to("/")
        every = request.clean_spdk_lockfiles_any
        locks = huge_pages.clean_lock_files(choice.allowed, choice.blocked, all_devices=every, directory=directory)
    return BdevPrepareReply(pages, tuple(locks))


def _is_root(user: str) -> bool:
    try:
        return pwd.getpwnam(user).pw_uid == 0
    except KeyError:
        return False


def _log(plan: Plan) -> None:
    for line in binding.describe(plan):
        sys.stderr.write(f"NVMe: {line}\n")


HANDLERS: dict[str, Callable[[Any], Any]] = {
    "BdevPrepare": prepare,
    "BdevScan": scan,
    "NvmeFirmwareQuery": firmware_query,
    "NvmeFirmwareUpdate": firmware_update,
}
