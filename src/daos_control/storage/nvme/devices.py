"""What is done to NVMe devices through SPDK: scan, format, firmware."""

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from daos_control.faults import ControlError, Fault
from daos_control.faults import bdev as faults
from daos_control.storage.nvme import host as host_facts
from daos_control.storage.nvme import session as sessions
from daos_control.storage.nvme import wipe
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.controller import NvmeController
from daos_control.storage.nvme.host import USER_DRIVERS, Host
from daos_control.storage.nvme.jsonrpc import RpcError
from daos_control.storage.nvme.messages import FirmwareUpdateResult
from daos_control.storage.nvme.session import Attached, Session

_FIRMWARE_SECONDS: Final = 600.0
_FIRMWARE_BYTES_MAX: Final = 1 << 30
_FIRMWARE_UNIT: Final = 4


async def scan(wanted: frozenset[PciAddress], *, vmd: bool, root: Path) -> list[NvmeController]:
    """The wanted controllers, in the order of their addresses; for none, all that can be attached. Fault 304 where
    a wanted one is not among them: where that is a VMD, there must be a device behind it."""
    host = host_facts.snapshot(root)
    async with sessions.opened(host, wanted, vmd=vmd, root=root) as session:
        _complain(session)
        if missing := _missing(wanted, session.attached):
            why = [f"{address} ({_reason(host, session, address)})" for address in missing]
            raise faults.not_found(why, vmd=vmd)
        devices = sorted(session.attached, key=lambda device: device.address)
        return [await session.describe(device) for device in devices]


async def format(
    wanted: frozenset[PciAddress], *, vmd: bool, force: bool, root: Path
) -> dict[PciAddress, Fault | None]:
    """Wipe all namespaces of the devices; the outcome for each, also those behind a VMD that was named. One that
    fails does not keep the others from being formatted."""
    host = host_facts.snapshot(root)
    outcome: dict[PciAddress, Fault | None] = {}
    async with sessions.opened(host, wanted, vmd=vmd, root=root) as session:
        for address in _missing(wanted, session.attached):
            outcome[address] = faults.format_failed(str(address), _reason(host, session, address))
        for device in session.attached:
            outcome[device.address] = await _format_one(session, device, force=force)
    return outcome


async def firmware_query(
    wanted: Sequence[PciAddress], model: str, revision: str, *, root: Path
) -> list[NvmeController]:
    """Devices of that model and revision ("" for any); wanted ones that are not there are left out. Fault 305."""
    host = host_facts.snapshot(root)
    async with sessions.opened(host, _distinct(wanted), vmd=_has_vmd(host), root=root) as session:
        return [found for _, found in await _matching(session, model, revision)]


async def firmware_update(
    wanted: Sequence[PciAddress], model: str, revision: str, image: Path, *, root: Path
) -> list[FirmwareUpdateResult]:
    """Update the devices, one after the other. Faults 304 and 305, 306 where none matches; ControlError for an
    image that cannot be one."""
    _check_image(image)
    addresses = _distinct(wanted)
    host = host_facts.snapshot(root)
    async with sessions.opened(host, addresses, vmd=_has_vmd(host), root=root) as session:
        if missing := _missing(addresses, session.attached):
            raise faults.not_found([f"{address} ({_reason(host, session, address)})" for address in missing])
        devices = await _matching(session, model, revision)
        if not devices:
            raise faults.no_filter_match()
        results = []
        for device, found in devices:
            error = ""
            try:
                await session.apply_firmware(device, image, seconds=_FIRMWARE_SECONDS)
            except RpcError as refusal:
                error = str(faults.spdk_failed(refusal.method, refusal.code, refusal.message))
            results.append(FirmwareUpdateResult(found, error))
        return results


async def _format_one(session: Session, device: Attached, *, force: bool) -> Fault | None:
    """All namespaces or none: one that holds something foreign keeps the others from being touched, too."""
    if not device.namespaces:
        return faults.format_failed(str(device.address), "the controller has no namespaces")
    try:
        if not force:
            for namespace in device.namespaces:
                await wipe.check(session, device, namespace)
        for namespace in device.namespaces:
            await wipe.wipe(session, device, namespace)
    except Fault as fault:
        return fault
    return None


async def _matching(session: Session, model: str, revision: str) -> list[tuple[Attached, NvmeController]]:
    found = [(device, await session.describe(device)) for device in session.attached]
    return [
        (device, described)
        for device, described in sorted(found, key=lambda pair: pair[0].address)
        if _matches(model, described.model) and _matches(revision, described.fw_rev)
    ]


def _matches(asked: str, found: str) -> bool:
    return not asked or asked.strip().casefold() == found.strip().casefold()


def _distinct(addresses: Sequence[PciAddress]) -> frozenset[PciAddress]:
    repeated = sorted({address for address in addresses if addresses.count(address) > 1})
    if repeated:
        raise faults.duplicate_devices(str(address) for address in repeated)
    return frozenset(addresses)


def _has_vmd(host: Host) -> bool:
    return any(device.vmd and device.driver in USER_DRIVERS for device in host.devices)


def _missing(wanted: Iterable[PciAddress], attached: Sequence[Attached]) -> list[PciAddress]:
    found = {a for device in attached for a in (device.address, device.address.endpoint)}
    return sorted(address for address in wanted if address not in found)


def _reason(host: Host, session: Session, address: PciAddress) -> str:
    """Why a device could not be attached."""
    if address in session.failed:
        return f"SPDK cannot attach to it: {session.failed[address]}"
    device = host.device(address.endpoint)
    if device is None:
        return "this host has no such NVMe device"
    if device.driver not in USER_DRIVERS:
        if device.users:
            return f"the kernel's driver {device.driver} has it: {'; '.join(device.users)}"
        bound = f"it is bound to the driver {device.driver}" if device.driver else "it has no driver"
        return f"{bound}: run 'daos_server nvme prepare'"
    return "there is no NVMe device behind it" if device.vmd else "SPDK does not find it"


def _complain(session: Session) -> None:
    """What a scan of everything leaves out belongs into the server's log."""
    for address, reason in sorted(session.failed.items()):
        sys.stderr.write(f"NVMe device {address} cannot be attached: {reason}\n")


def _check_image(image: Path) -> None:
    try:
        status = image.stat()
    except OSError as error:
        raise ControlError(f"the firmware image {image} cannot be read: {error.strerror}") from error
    if not image.is_absolute() or not stat.S_ISREG(status.st_mode):
        raise ControlError(f"the firmware image {os.fspath(image)!r} must be a file, by its whole path")
    if status.st_size == 0 or status.st_size % _FIRMWARE_UNIT or status.st_size > _FIRMWARE_BYTES_MAX:
        raise ControlError(
            f"{image} is no firmware image: it has {status.st_size} bytes, which is no multiple of {_FIRMWARE_UNIT}"
        )
