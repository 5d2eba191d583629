"""Network interfaces of this host, out of sysfs and the kernel's list of addresses."""

import array
import fcntl
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daos_control.network.link_state import State as State
from daos_control.network.link_state import condense, port_state
from daos_control.network.sysfs import SYSFS, children, read, read_int

ETHERNET = 1
INFINIBAND = 32
LOOPBACK = 772

_SIOCGIFCONF = 0x8912
_ENTRY_BYTES = 40  # of struct ifreq on 64-bit hosts
_NAME_BYTES = 16
_ENTRIES_MAX = 4096
_IFF_UP = 1


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
    `addresses` are its IPv4 addresses, in the kernel's order. `virtual` says that no device is behind it;
    `backing` is the interface that a virtual one (a VLAN, a bond) stands on, and that has a device."""

    name: str
    device_class: int
    state: State
    up: bool
    numa_node: int
    virtual: bool
    addresses: tuple[str, ...]
    backing: str = ""


def interfaces(sysfs: Path = SYSFS, addresses: Mapping[str, tuple[str, ...]] | None = None) -> list[Interface]:
    """All interfaces by name; `addresses` (default: the kernel's) has those of each name."""
    known = ipv4_addresses() if addresses is None else addresses
    return [
        _interface(path, known.get(path.name, ()))
        for path in children(sysfs / "class" / "net")
        if (path / "type").exists()
    ]


def state_of(name: str, sysfs: Path = SYSFS) -> State | None:
    """The state of an interface now; None where there is no interface of that name."""
    path = sysfs / "class" / "net" / name
    return _state(path) if (path / "type").exists() else None


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
    backing = _backing(path) if is_virtual(path) else ""
    device = path.parent / backing / "device" if backing else path / "device"
    node = read_int(device / "numa_node", -1)
    if node < 0:
        node = read_int(device / ".." / "numa_node", -1)  # that of the PCI function that a virtio device is on
    return Interface(
        name=path.name,
        device_class=read_int(path / "type", 0),
        state=_state(path),
        up=bool(int(read(path / "flags") or "0", 16) & _IFF_UP),
        numa_node=max(node, 0),
        virtual=is_virtual(path) and not backing,
        addresses=addresses,
        backing=backing,
    )


def is_virtual(path: Path) -> bool:
    """Whether the kernel made an interface by itself."""
    return "/devices/virtual/" in os.path.realpath(path)


def _backing(path: Path) -> str:
    """The interface with a device that a virtual one stands on directly; "" where there is none."""
    below = [link.name.removeprefix("lower_") for link in children(path) if link.name.startswith("lower_")]
    for name in (read(path / "parent"), *below):
        lower = path.parent / name
        if name and lower.exists() and not is_virtual(lower):
            return name
    return ""


def _state(path: Path) -> State:
    device_class = read_int(path / "type", 0)
    if device_class == INFINIBAND:
        return _infiniband_state(path)
    state = _OPERSTATES.get(read(path / "operstate").lower(), State.UNKNOWN)
    if device_class == LOOPBACK and state is State.UNKNOWN:
        return State.READY  # a loopback interface never says more
    return state


def _infiniband_state(path: Path) -> State:
    """Ready is told by the ports of the device: the interface itself is "up" long before."""
    parent = read(path / "parent") if is_virtual(path) else ""
    if parent and parent != path.name:
        return _infiniband_state(path.parent / parent)
    devices = children(path / "device" / "infiniband")
    return condense(
        condense(port_state(read(port / "state")) for port in children(device / "ports")) for device in devices
    )
