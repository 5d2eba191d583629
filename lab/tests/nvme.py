"""The NVMe controllers of the machine, as the kernel's driver shows them."""

import errno
import fcntl
import os
import struct
from pathlib import Path

from lab.hardware import CONTROLLERS, NvmeController
from lab.tests.commands import read, wait_until

PCI = Path("/sys/bus/pci/devices")
DRIVER = Path("/sys/bus/pci/drivers/nvme")
_BLKDISCARD = 0x1277


def block_device(controller: NvmeController, nsid: int) -> Path:
    """The node of a namespace. Which controller becomes nvme0 is chance."""
    for device in (PCI / controller.pci_address / "nvme").iterdir():
        for block in device.glob("nvme*n*"):
            if (block / "nsid").exists() and read(block / "nsid") == str(nsid):
                return Path("/dev") / block.name
    raise AssertionError(f"{controller.serial} has no namespace {nsid}")


def unbind(controller: NvmeController) -> None:
    """Take a controller from the kernel's driver: its block devices vanish."""
    nodes = [block_device(controller, namespace.nsid) for namespace in controller.namespaces]
    (DRIVER / "unbind").write_text(controller.pci_address)
    wait_until(lambda: not any(node.exists() for node in nodes), f"the end of {controller.serial}")


def bind(controller: NvmeController) -> None:
    """Give a controller to the kernel's driver, unless it has it."""
    if not (DRIVER / controller.pci_address).exists():
        (PCI / controller.pci_address / "driver_override").write_text("\n")
        (DRIVER / "bind").write_text(controller.pci_address)
    wait_until(lambda: _complete(controller), f"the namespaces of {controller.serial}")


def bind_all() -> None:
    for controller in CONTROLLERS:
        bind(controller)


def blank_all() -> None:
    for controller in CONTROLLERS:
        for namespace in controller.namespaces:
            blank(block_device(controller, namespace.nsid))


def blank(device: Path) -> None:
    """Zeros all over, by discarding; what is not discarded is written."""
    descriptor = os.open(device, os.O_RDWR)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            fcntl.ioctl(descriptor, _BLKDISCARD, struct.pack("QQ", 0, size))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
        os.pwrite(descriptor, bytes(1 << 20), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _complete(controller: NvmeController) -> bool:
    try:
        return all(block_device(controller, namespace.nsid).exists() for namespace in controller.namespaces)
    except (AssertionError, OSError):
        return False
