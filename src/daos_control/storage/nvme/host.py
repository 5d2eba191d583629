"""What this host has of NVMe: its PCI devices, their drivers, who uses them, and what the kernel offers.

A snapshot is read once; what is to be done about it is decided on the snapshot alone (`binding`, `huge_pages`).
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daos_control.storage import mounts
from daos_control.storage.mounts import Mount
from daos_control.storage.nvme.address import PciAddress

NVME_CLASS = 0x010802
VMD_CLASS = 0x010400
INTEL = 0x8086
KERNEL_DRIVER = "nvme"
VMD_DRIVER = "vmd"
VFIO = "vfio-pci"
UIO = "uio_pci_generic"
USER_DRIVERS = frozenset({VFIO, UIO, "igb_uio"})
LOCK_DIRECTORY = Path("/var/tmp")
LOCK_PREFIX = "spdk_pci_lock_"

_NATIVE_ADDRESS = re.compile(r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")
# One path of a namespace with several ("nvme0c1n2"): the block device that is used is the head ("nvme0n2").
_PATH_DEVICE = re.compile(r"^(nvme\d+)c\d+(n\d+)$")


@dataclass(frozen=True, slots=True)
class PciDevice:
    """An NVMe controller, or a VMD. `driver` is "" where none is bound; `node` its NUMA node, -1 where the kernel
    does not know; `group` its IOMMU group; `disks` are its block devices, and `users` says who uses them."""

    address: PciAddress
    vendor: int
    driver: str = ""
    override: str = ""
    node: int = -1
    group: str = ""
    vmd: bool = False
    disks: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodePages:
    """Huge pages of the default size on one NUMA node."""

    node: int
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Host:
    """A snapshot. `drivers` are those of PCI devices that are loaded; `page_kib` the size of a huge page."""

    devices: tuple[PciDevice, ...]
    drivers: frozenset[str] = frozenset()
    iommu: bool = False
    pages: tuple[NodePages, ...] = ()
    page_kib: int = 2048

    def device(self, address: PciAddress) -> PciDevice | None:
        return next((device for device in self.devices if device.address == address), None)


def snapshot(root: Path = Path("/")) -> Host:
    """Look at this host; `root` is the directory that has dev, proc and sys. Devices that vanish meanwhile are left
    out."""
    page_kib = _page_kib(root)
    drivers = root / "sys/bus/pci/drivers"
    return Host(
        devices=tuple(_devices(root)),
        drivers=frozenset(entry.name for entry in _children(drivers)),
        iommu=iommu(root),
        pages=tuple(_pages(root, page_kib)),
        page_kib=page_kib,
    )


def iommu(root: Path = Path("/")) -> bool:
    """Whether the kernel uses an IOMMU."""
    return any(_children(root / "sys/class/iommu"))


def _devices(root: Path) -> Iterator[PciDevice]:
    found = current_mounts(root)
    for entry in _children(root / "sys/bus/pci/devices"):
        kind, vendor = _number(entry / "class"), _number(entry / "vendor")
        is_vmd = kind == VMD_CLASS and vendor == INTEL and _is_vmd(entry)
        # What the kernel lists in domains beyond the hardware's own is behind a VMD that it drives itself.
        if not _NATIVE_ADDRESS.match(entry.name) or not (kind == NVME_CLASS or is_vmd):
            continue
        disks = tuple(_disks(root, entry, behind=is_vmd))
        users = [user for disk in disks for user in _users(root, disk, found)]
        if _target(entry / "driver") in USER_DRIVERS:
            users += _programs(root / LOCK_DIRECTORY.relative_to("/"), PciAddress.parse(entry.name), vmd=is_vmd)
        yield PciDevice(
            address=PciAddress.parse(entry.name),
            vendor=vendor,
            driver=_target(entry / "driver"),
            override=_override(entry),
            node=_signed(_read(entry / "numa_node")),
            group=_target(entry / "iommu_group"),
            vmd=is_vmd,
            disks=disks,
            users=tuple(dict.fromkeys(users)),
        )


def _is_vmd(entry: Path) -> bool:
    """Intel's RAID controllers have the same class: a VMD is what the driver for VMDs would take."""
    driver = _target(entry / "driver")
    return driver == "vmd" or _number(entry / "device") in _VMD_IDS or any(entry.glob("pci1*:*"))


# Device ids of Intel's volume management devices, as Linux's and SPDK's drivers have them.
_VMD_IDS = frozenset({0x201D, 0x28C0, 0x467F, 0x4C3D, 0x7D0B, 0x9A0B, 0xA77F, 0xAD0B, 0xB06F, 0xB60B})


def _disks(root: Path, entry: Path, *, behind: bool) -> Iterator[str]:
    """Names of the block devices; those of all devices `behind` a VMD."""
    controllers = list(entry.glob("nvme/nvme*"))
    if behind:
        controllers += entry.glob("pci*/**/nvme/nvme*")
    known = {child.name for child in _children(root / "sys/class/block")}
    for controller in sorted(controllers):
        for child in _children(controller):
            name = _PATH_DEVICE.sub(r"\1\2", child.name)
            if name in known and (child / "size").exists():
                yield name


def _users(root: Path, disk: str, found: Sequence[Mount]) -> Iterator[str]:
    """Who uses a disk: mounts, swap, other devices on it, or somebody whom only the kernel knows."""
    block = root / "sys/class/block" / disk
    parts = [disk, *(child.name for child in _children(block) if (child / "partition").exists())]
    swaps = _read(root / "proc/swaps").splitlines()[1:]
    named = False
    for part in parts:
        number = _read(root / "sys/class/block" / part / "dev")
        for mount in found:
            if mount.number == number or mount.source == f"/dev/{part}":
                named = True
                yield f"{part} is mounted at {mount.path}"
        if any(line.split()[0] == f"/dev/{part}" for line in swaps if line):
            named = True
            yield f"{part} is swap space"
        for holder in _children(root / "sys/class/block" / part / "holders"):
            named = True
            yield f"{part} is part of {holder.name}"
    if not named and _claimed(root / "dev" / disk):
        yield f"{disk} is in use by another program, or mounted outside this namespace"


def _programs(directory: Path, device: PciAddress, *, vmd: bool) -> Iterator[str]:
    """The programs that drive a device, or one behind a VMD, with SPDK."""
    for path in _children(directory):
        name = path.name.removeprefix(LOCK_PREFIX)
        behind = vmd and name.startswith(f"{device.bus:02x}{device.device:02x}{device.function:02x}:")
        if name != path.name and (name == str(device) or behind):
            holder = lock_holder(path)
            if holder is not None:
                yield f"process {holder} drives it with SPDK"


def lock_holder(path: Path) -> int | None:
    """The living program that holds an SPDK lock file (a record lock, which dies with its owner); 0 where it left
    no number, None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return int.from_bytes(os.read(descriptor, 4), "little")
    finally:
        os.close(descriptor)
    return None


def current_mounts(root: Path = Path("/")) -> tuple[Mount, ...]:
    return mounts.parse(_read(root / "proc/self/mountinfo"))


def _claimed(node: Path) -> bool:
    """Whether the kernel refuses an exclusive open, also one of a partition."""
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _page_kib(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("Hugepagesize:"):
            return int(line.split()[1])
    return 2048


def _pages(root: Path, page_kib: int) -> Iterator[NodePages]:
    for entry in _children(root / "sys/devices/system/node"):
        if re.fullmatch(r"node\d+", entry.name):
            pages = entry / "hugepages" / f"hugepages-{page_kib}kB"
            if pages.is_dir():
                total, free = _read(pages / "nr_hugepages"), _read(pages / "free_hugepages")
                yield NodePages(int(entry.name[4:]), int(total or 0), int(free or 0))


def _override(entry: Path) -> str:
    text = _read(entry / "driver_override")
    return "" if text == "(null)" else text


def _target(link: Path) -> str:
    try:
        return Path(os.readlink(link)).name  # noqa: PTH115 a link of sysfs may dangle in a snapshot
    except OSError:
        return ""


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _number(path: Path) -> int:
    text = _read(path)
    return int(text, 16) if re.fullmatch(r"0x[0-9a-fA-F]+", text) else 0


def _signed(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d+", text) else -1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""
