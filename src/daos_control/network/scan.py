"""Which fabric providers can be used on which interfaces, by rules over what sysfs tells.

libfabric's TCP providers work on every interface that is up and has an address. Providers that need a device of
their own (verbs, cxi) are not found this way.
"""

from dataclasses import dataclass
from pathlib import Path

from daos_control.network.interfaces import ETHERNET, INFINIBAND, LOOPBACK, SYSFS, Interface, State, interfaces

# By preference: what stands first has priority 0.
TCP_PROVIDERS = ("ofi+tcp", "ofi+tcp;ofi_rxm", "ofi+sockets")

_CLASSES = frozenset({ETHERNET, INFINIBAND, LOOPBACK})


@dataclass(frozen=True, slots=True)
class FabricInterface:
    """A provider on an interface. A lower `priority` is better; `net_dev_class` is the kernel's ARP type."""

    provider: str
    device: str
    numa_node: int
    priority: int
    net_dev_class: int


def scan(provider: str = "", *, sysfs: Path = SYSFS, found: list[Interface] | None = None) -> list[FabricInterface]:
    """What can be used of one provider, or of all where none is named; loopback interfaces are among it."""
    providers = [name for name in TCP_PROVIDERS if provider in ("", name)]
    return [
        FabricInterface(name, interface.name, interface.numa_node, priority, interface.device_class)
        for interface in (interfaces(sysfs) if found is None else found)
        if _usable(interface)
        for priority, name in enumerate(providers)
    ]


def _usable(interface: Interface) -> bool:
    carries = interface.state in (State.READY, State.UNKNOWN)  # many virtual interfaces say no more than unknown
    return interface.up and carries and interface.device_class in _CLASSES and bool(interface.addresses)
