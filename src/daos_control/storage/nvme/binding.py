"""Which NVMe devices change drivers, so that SPDK, or the kernel again, can drive them: decided on a snapshot.

A device that is mounted, holds the root file system, is swap space or part of another device, or is excluded, is
never in a plan. That a device is named in an allow list does not change this: it is then an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daos_control.faults import Fault
from daos_control.faults import bdev as faults
from daos_control.faults import storage as storage_faults
from daos_control.storage.nvme import address
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.host import KERNEL_DRIVER, UIO, USER_DRIVERS, VFIO, VMD_DRIVER, Host, PciDevice


@dataclass(frozen=True, slots=True)
class Choice:
    """Which devices are meant: addresses as in a helper's request. With `vmd`, VMDs are prepared, too."""

    allowed: frozenset[PciAddress] = frozenset()
    blocked: frozenset[PciAddress] = frozenset()
    vmd: bool = False

    @classmethod
    def of(cls, allow_list: str, block_list: str, *, vmd: bool = False) -> "Choice":
        """Fault 303 for a malformed address."""
        return cls(address.parse_list(allow_list), address.parse_list(block_list), vmd)


@dataclass(frozen=True, slots=True)
class Rebind:
    """One device from `old` to `new`; "" is no driver. With `reserve`, no other driver takes it by itself."""

    address: PciAddress
    old: str
    new: str
    reserve: bool = True
    group: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order, and why devices that were not named are left alone. `module` is the driver that
    must be loaded first; `groups` are the VFIO groups that the target user is given."""

    rebinds: tuple[Rebind, ...] = ()
    skipped: tuple[str, ...] = ()
    module: str = ""
    groups: tuple[str, ...] = ()
    vmd: bool = False


def plan_prepare(host: Host, choice: Choice, *, disable_vfio: bool, target_is_root: bool) -> Plan:
    """Bind the chosen devices to a driver for programs.

    VFIO where there is an IOMMU, else UIO, which only root can use: Faults 310 and 311. Fault 304 where a named
    device does not exist, 103 where a named one is in use.
    """
    devices, skipped = _select(host, choice)
    driver = _driver(host, devices, disable_vfio=disable_vfio, target_is_root=target_is_root)
    rebinds = tuple(
        Rebind(device.address, device.driver, driver, group=device.group)
        for device in devices
        if device.driver != driver and not (device.driver in USER_DRIVERS and device.users)
    )
    groups = tuple(sorted({device.group for device in devices if device.group})) if driver == VFIO else ()
    vmd = any(device.vmd for device in devices)
    return Plan(rebinds, tuple(skipped), driver if devices else "", groups, vmd)


def plan_reset(host: Host, choice: Choice) -> Plan:
    """Give the chosen devices back to the kernel, also those without a driver. One that a program drives is left to
    it (unbinding it would wait for that program's end), as are those with another driver."""
    known = {device.address for device in host.devices}
    missing = [str(a) for a in sorted(choice.allowed - choice.blocked) if a.endpoint not in known]
    if missing:
        raise faults.not_found(missing)
    rebinds, skipped = [], []
    for device in host.devices:
        if device.driver not in {*USER_DRIVERS, ""} or not _chosen(device, choice, reset=True):
            continue
        if not device.users:
            wanted = VMD_DRIVER if device.vmd else KERNEL_DRIVER
            rebinds.append(Rebind(device.address, device.driver, wanted, reserve=False, group=device.group))
        elif choice.allowed:
            raise _refusal(device, "; ".join(device.users))
        else:
            skipped.append(f"{device.address}: {'; '.join(device.users)}")
    vmd = choice.vmd and any(device.vmd for device in host.devices)
    return Plan(tuple(rebinds), tuple(skipped), vmd=vmd)


def _select(host: Host, choice: Choice) -> tuple[Sequence[PciDevice], Sequence[str]]:
    known = {device.address for device in host.devices}
    missing = [str(a) for a in sorted(choice.allowed - choice.blocked) if a.endpoint not in known]
    if missing:
        raise faults.not_found(missing)
    devices, skipped = [], []
    for device in host.devices:
        if not _chosen(device, choice):
            continue
        reason = _why_not(device)
        if reason is None:
            devices.append(device)
        elif choice.allowed:
            raise _refusal(device, reason)
        else:
            skipped.append(f"{device.address}: {reason}")
    return devices, skipped


def _chosen(device: PciDevice, choice: Choice, *, reset: bool = False) -> bool:
    if device.vmd:
        # A VMD that is prepared takes all devices behind it: only where VMD is wanted, and none of them is blocked.
        behind_blocked = any(a.endpoint == device.address for a in choice.blocked)
        named = {a.endpoint for a in choice.allowed}
        return (choice.vmd or reset) and not behind_blocked and (not named or device.address in named)
    return address.chosen(device.address, choice.allowed, choice.blocked)


def _why_not(device: PciDevice) -> str | None:
    if device.users and device.driver not in USER_DRIVERS:
        return "; ".join(device.users)
    if device.driver not in {"", KERNEL_DRIVER, VMD_DRIVER, *USER_DRIVERS}:
        return f"it is bound to the driver {device.driver}"
    return None


def _refusal(device: PciDevice, reason: str) -> Fault:
    return storage_faults.device_in_use(str(device.address), reason)


def _driver(host: Host, devices: Sequence[PciDevice], *, disable_vfio: bool, target_is_root: bool) -> str:
    if not target_is_root and devices:
        if disable_vfio:
            raise faults.non_root_vfio_disabled()
        if not host.iommu:
            raise faults.no_iommu()
    # Without an IOMMU, VFIO works in a mode that must be switched on and taints the kernel: UIO is the plain way.
    return VFIO if host.iommu and not disable_vfio and all(device.group for device in devices) else UIO


def describe(plan: Plan) -> Iterator[str]:
    """One line for each device, for a log."""
    for rebind in plan.rebinds:
        yield f"{rebind.address}: driver {rebind.old or 'none'} -> {rebind.new or 'none'}"
    yield from (f"left alone: {skipped}" for skipped in plan.skipped)
