"""Doing what was planned: drivers of PCI devices, huge pages, and the target user's permissions, through sysfs.

Every write is safe to repeat. A device that its new driver does not take goes back to the one it had.
"""

import contextlib
import os
import pwd
import time
from collections.abc import Iterable
from pathlib import Path

from daos_control.faults import ControlError
from daos_control.faults import bdev as faults
from daos_control.faults import storage as storage_faults
from daos_control.storage import mounts
from daos_control.storage.helper import steps
from daos_control.storage.nvme import host as host_facts
from daos_control.storage.nvme import huge_pages
from daos_control.storage.nvme.binding import Plan, Rebind
from daos_control.storage.nvme.huge_pages import Allocation

_HUGE_DIRECTORY = "dev/hugepages"
_PROBE_SECONDS = 5.0
_CLEAR = "\n"  # what an empty driver_override is written as


class Kernel:
    """The files of a running kernel below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        """One write(2), as sysfs wants it. Raises OSError."""
        descriptor = os.open(self.root / path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def load(self, module: str) -> None:
        """Load a driver that is not there. Raises OSError."""
        steps.run_program(["modprobe", module])

    def driver_of(self, rebind: Rebind) -> str:
        with contextlib.suppress(OSError):
            link = self.root / f"sys/bus/pci/devices/{rebind.address}/driver"
            return Path(os.readlink(link)).name  # noqa: PTH115 the name is all that is wanted
        return ""


def apply(plan: Plan, kernel: Kernel) -> None:
    """Change the drivers. Raises a Fault with the device and what the kernel said; those before it are changed."""
    loaded = host_facts.snapshot(kernel.root).drivers
    if plan.module and plan.module not in loaded:
        try:
            kernel.load(plan.module)
        except OSError as error:
            raise faults.driver_missing(plan.module, error.strerror or str(error)) from error
    for rebind in plan.rebinds:
        _rebind(rebind, kernel)


def _rebind(rebind: Rebind, kernel: Kernel) -> None:
    # Once more, just before: what was free when the plan was made may have been mounted since.
    device = host_facts.snapshot(kernel.root).device(rebind.address)
    if device is None:
        raise faults.not_found([str(rebind.address)])
    if device.users:
        raise storage_faults.device_in_use(str(rebind.address), "; ".join(device.users))
    try:
        _move(rebind, device.driver, kernel)
    except OSError as error:
        _put_back(rebind, kernel)
        raise faults.rebind_failed(str(rebind.address), rebind.new, error.strerror or str(error)) from error
    found = _settled(rebind, kernel)
    if found != rebind.new:
        if rebind.reserve:
            _put_back(rebind, kernel)
        raise faults.rebind_failed(
            str(rebind.address), rebind.new, f"it has {found or 'no driver'} after that; see 'dmesg'"
        )


def _move(rebind: Rebind, current: str, kernel: Kernel) -> None:
    device = f"sys/bus/pci/devices/{rebind.address}"
    kernel.write(f"{device}/driver_override", rebind.new if rebind.reserve else _CLEAR)
    if current:
        kernel.write(f"sys/bus/pci/drivers/{current}/unbind", str(rebind.address))
    kernel.write("sys/bus/pci/drivers_probe", str(rebind.address))


def _settled(rebind: Rebind, kernel: Kernel) -> str:
    """The driver it has, once it is the new one or the time is up: some drivers start beside the one who asks."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while (found := kernel.driver_of(rebind)) != rebind.new and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _put_back(rebind: Rebind, kernel: Kernel) -> None:
    with contextlib.suppress(OSError):
        kernel.write(f"sys/bus/pci/devices/{rebind.address}/driver_override", _CLEAR)
        if not kernel.driver_of(rebind):
            kernel.write("sys/bus/pci/drivers_probe", str(rebind.address))


def allocate(allocations: Iterable[Allocation], page_kib: int, kernel: Kernel) -> None:
    """Set the huge pages of each node. Raises a Fault with the figures where the kernel finds no room."""
    for wanted in allocations:
        path = f"sys/devices/system/node/node{wanted.node}/hugepages/hugepages-{page_kib}kB/nr_hugepages"
        try:
            kernel.write(path, str(wanted.pages))
            found = int((kernel.root / path).read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise faults.huge_pages_unavailable(wanted.node, wanted.pages, None, str(error)) from error
        if found < wanted.pages:
            raise faults.huge_pages_unavailable(wanted.node, wanted.pages, found)


def mount_huge_pages(kernel: Kernel) -> list[Path]:
    """Where huge pages are files; mounted first where they are not yet."""
    found = huge_pages.huge_page_mounts(host_facts.current_mounts(kernel.root))
    if found:
        return found
    directory = kernel.root / _HUGE_DIRECTORY
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        mounts.mount("hugetlbfs", directory, "hugetlbfs", 0, "")
    except OSError as error:
        raise faults.huge_pages_unavailable(0, 0, None, f"mounting {directory}: {error.strerror}") from error
    return [directory]


def give_to(user: str, plan: Plan, directories: Iterable[Path], kernel: Kernel) -> None:
    """Let the target user use the devices and the huge pages. ControlError where there is no such user."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise ControlError(f"this host has no user {user!r}, who is to use the NVMe devices") from error
    if entry.pw_uid == 0:
        return
    paths = [kernel.root / "dev/vfio" / group for group in plan.groups]
    try:
        for path in [*paths, *directories]:
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    except OSError as error:
        raise faults.cannot_give(str(error.filename), user, error.strerror or str(error)) from error
