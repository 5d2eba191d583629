"""PCI devices that are of use to DAOS (network, fabric, block), and the buses they are on, out of sysfs."""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from daos_control.network.sysfs import SYSFS, children, read, read_int

_ADDRESS = re.compile(r"^([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7])$")
_BRIDGE = re.compile(r"^pci([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2})$")
_CONTROLLER = re.compile(r"^nvme\d+$")
_PMEM = re.compile(r"^pmem\d+(\.\d+)?s?$")
_SECTOR_BYTES = 512
# Of what a lane transfers, the share that is data, by generations: 8 of 10 bits, then 128 of 130.
_OLD_CODING, _NEW_CODING, _OLD_GT_MAX = 0.8, 128 / 130, 5.0


class DeviceType(IntEnum):
    """What a device is; the numbers are those of DAOS's JSON."""

    NETWORK = 1
    FABRIC = 2
    BLOCK = 3

    @property
    def words(self) -> str:
        return {1: "network interface", 2: "OFI domain", 3: "block device"}[self]


class PciAddress(NamedTuple):
    """Where a device is; ordered as the buses are."""

    domain: int
    bus: int
    device: int
    function: int

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function:x}"

    @classmethod
    def parse(cls, text: str) -> "PciAddress | None":
        match = _ADDRESS.match(text)
        return None if match is None else cls(*(int(part, 16) for part in match.groups()))


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A disk or a persistent memory namespace; `number` is "major:minor", `kind` "NVDIMM" or "unknown"."""

    name: str
    kind: str
    size_bytes: int
    sector_bytes: int
    number: str
    vendor: str = ""
    model: str = ""
    revision: str = ""
    serial: str = ""
    numa_node: int = 0


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A device by the name that the system gives it, behind a PCI function; `link_gbps` is what its link carries,
    in GB/s, 0 where that is not known."""

    name: str
    type: DeviceType
    address: PciAddress
    numa_node: int
    link_gbps: float = 0.0
    block: BlockDevice | None = None


@dataclass(frozen=True, slots=True)
class PciBus:
    """A root bus, up to the highest bus below it."""

    domain: int
    low: int
    high: int
    numa_node: int

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.domain:04x}:{self.low:02x}"
        return f"{self.domain:04x}:[{self.low:02x}-{self.high:02x}]"

    def contains(self, address: PciAddress) -> bool:
        return address.domain == self.domain and self.low <= address.bus <= self.high


def devices(sysfs: Path = SYSFS) -> list[PciDevice]:
    """All devices behind PCI functions, by address and name; of one function block devices first."""
    found = [
        *_of_class(sysfs, "block", DeviceType.BLOCK),
        *_of_class(sysfs, "net", DeviceType.NETWORK),
        *_of_class(sysfs, "infiniband", DeviceType.FABRIC),
        *_of_class(sysfs, "cxi", DeviceType.FABRIC),
    ]
    return sorted(found, key=lambda device: device.address)  # a stable sort: the order of classes stays


def buses(sysfs: Path = SYSFS) -> list[PciBus]:
    """The root buses, in order."""
    found = []
    for root in children(sysfs / "devices"):
        match = _BRIDGE.match(root.name)
        functions = [child for child in children(root) if PciAddress.parse(child.name)] if match else []
        if match is None or not functions:
            continue
        low = int(match[2], 16)
        below = [read_int(function / "subordinate_bus_number", low) for function in functions]
        found.append(PciBus(int(match[1], 16), low, max(low, *below), _node(functions[0])))
    return sorted(found, key=lambda bus: (bus.domain, bus.low))


def persistent_memory(sysfs: Path = SYSFS) -> list[BlockDevice]:
    """Block devices of persistent memory, which are on no PCI bus."""
    return [_block(entry) for entry in children(sysfs / "class" / "block") if _PMEM.match(entry.name)]


def function_of(path: Path) -> Path | None:
    """The directory of the PCI function that a device's directory is below."""
    real = Path(os.path.realpath(path))
    for directory in (real, *real.parents):
        if PciAddress.parse(directory.name):
            return directory
    return None


def _of_class(sysfs: Path, name: str, kind: DeviceType) -> Iterator[PciDevice]:
    for entry in children(sysfs / "class" / name):
        if (entry / "partition").exists():
            continue
        function = function_of(entry / "device" if kind is not DeviceType.BLOCK else _disk(entry))
        address = PciAddress.parse(function.name) if function is not None else None
        if function is None or address is None:
            continue
        block = _block(entry) if kind is DeviceType.BLOCK else None
        yield PciDevice(entry.name, kind, address, _node(function), _link_gbps(function), block)


def _disk(entry: Path) -> Path:
    """Namespaces of an NVMe device that may have several paths are below no device: its controller is."""
    controllers = [child for child in children(entry / "device") if _CONTROLLER.match(child.name)]
    return controllers[0] / "device" if controllers else entry


def _block(entry: Path) -> BlockDevice:
    memory = bool(_PMEM.match(entry.name))
    return BlockDevice(
        name=entry.name,
        kind="NVDIMM" if memory else "unknown",
        size_bytes=read_int(entry / "size", 0) * _SECTOR_BYTES // 1024 * 1024,
        sector_bytes=read_int(entry / "queue" / "hw_sector_size", _SECTOR_BYTES),
        number=read(entry / "dev"),
        vendor=_vendor(entry),
        model=read(entry / "device" / "model"),
        revision=read(entry / "device" / "rev") or read(entry / "device" / "firmware_rev"),
        serial=read(entry / "device" / "serial"),
        numa_node=_node(entry / "device"),
    )


def _vendor(entry: Path) -> str:
    """The maker's name; a PCI function has its number in the same place."""
    name = read(entry / "device" / "vendor")
    return "" if name.startswith("0x") else name


def _node(device: Path) -> int:
    return max(read_int(device / "numa_node", 0), 0)


def _link_gbps(function: Path) -> float:
    """Data per second over all lanes, rounded to 32 bits as DAOS's tools have it."""
    speed = read(function / "current_link_speed").partition(" ")[0]
    lanes = read_int(function / "current_link_width", 0)
    try:
        transfers = float(speed)
    except ValueError:
        return 0.0
    if lanes <= 0 or lanes > 64:  # 255 and more stand for "not known"
        return 0.0
    data = transfers * (_OLD_CODING if transfers <= _OLD_GT_MAX else _NEW_CODING) * lanes / 8
    rounded: float = struct.unpack("<f", struct.pack("<f", data))[0]
    return rounded
