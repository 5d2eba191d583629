"""Network interfaces of this host, out of sysfs and the kernel's list of addresses."""

import array
import fcntl
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ETHERNET = 1
INFINIBAND = 32
LOOPBACK = 772

SYSFS = Path("/sys")

_SIOCGIFCONF = 0x8912
_ENTRY_BYTES = 40  # of struct ifreq on 64-bit hosts
_NAME_BYTES = 16
_ENTRIES_MAX = 4096
_IFF_UP = 1


class State(Enum):
    """Whether an interface can be used (lifecycle.md 2: the server waits for NOT_READY, and gives up on others)."""

    READY = "ready"
    NOT_READY = "not ready"
    DOWN = "down"
    UNKNOWN = "unknown"


_OPERSTATES = {
    "up": State.READY,
    "down": State.DOWN,
    "lowerlayerdown": State.DOWN,
    "notpresent": State.DOWN,
    "testing": State.NOT_READY,
    "dormant": State.NOT_READY,
}


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface. `device_class` is the kernel's ARP type (ETHERNET, INFINIBAND, LOOPBACK, ...);
    `addresses` are its IPv4 addresses, in the kernel's order; `virtual` says that no device is behind it."""

    name: str
    device_class: int
    state: State
    up: bool
    numa_node: int
    virtual: bool
    addresses: tuple[str, ...]


def interfaces(sysfs: Path = SYSFS, addresses: Mapping[str, tuple[str, ...]] | None = None) -> list[Interface]:
    """All interfaces by name; `addresses` (default: the kernel's) has those of each name."""
    known = ipv4_addresses() if addresses is None else addresses
    directory = sysfs / "class" / "net"
    names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    return [
        _interface(directory / name, known.get(name, ())) for name in names if (directory / name / "type").exists()
    ]


def ipv4_addresses() -> dict[str, tuple[str, ...]]:
    """The IPv4 addresses of each interface that has any, secondary ones included."""
    buffer = array.array("B", bytes(_ENTRIES_MAX * _ENTRY_BYTES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("iP", len(buffer), buffer.buffer_info()[0])
        size = struct.unpack("iP", fcntl.ioctl(probe.fileno(), _SIOCGIFCONF, request))[0]
    data, found = buffer.tobytes()[:size], dict[str, tuple[str, ...]]()
    for offset in range(0, size, _ENTRY_BYTES):
        entry = data[offset : offset + _ENTRY_BYTES]
        # Addresses added later may carry a label of the form "eth0:1".
        name = entry[:_NAME_BYTES].split(b"\0", 1)[0].decode().partition(":")[0]
        found[name] = (*found.get(name, ()), socket.inet_ntoa(entry[20:24]))
    return found


def _interface(path: Path, addresses: tuple[str, ...]) -> Interface:
    device_class = int(_read(path / "type") or 0)
    state = _OPERSTATES.get(_read(path / "operstate").lower(), State.UNKNOWN)
    if device_class == LOOPBACK and state is State.UNKNOWN:
        state = State.READY  # a loopback interface never says more
    node = _read(path / "device" / "numa_node") or _read(path / "device" / ".." / "numa_node")
    return Interface(
        name=path.name,
        device_class=device_class,
        state=state,
        up=bool(int(_read(path / "flags") or "0", 16) & _IFF_UP),
        numa_node=max(int(node), 0) if node else 0,
        virtual="/devices/virtual/" in os.path.realpath(path),
        addresses=addresses,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
