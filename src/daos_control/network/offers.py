"""Which provider works with which device, as sysfs alone tells: used where libfabric cannot be asked.

libfabric's TCP providers work on every interface that is up and has an address, its verbs provider with RDMA
devices.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daos_control.network.interfaces import ETHERNET, INFINIBAND, LOOPBACK, Interface, State
from daos_control.network.sysfs import SYSFS, children


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider, named as DAOS names it ("ofi+tcp"), and a device that it works with ("eth0", "mlx5_0")."""

    provider: str
    domain: str


CXI: Final = "ofi+cxi"
VERBS: Final = "ofi+verbs;ofi_rxm"

# In the order in which libfabric's providers come out, so that priorities are the same with and without it.
_ON_INTERFACES: Final = ("ofi+sockets", "ofi+shm", "ofi+tcp;ofi_rxm", "ofi+tcp")
_SHARED_MEMORY = "ofi+shm"  # is counted, and works on no interface

_CLASSES = frozenset({ETHERNET, INFINIBAND, LOOPBACK})

# Short names under which providers may be asked for.
_ALIASES: Final = {
    "ofi+tcp_rxm": "ofi+tcp;ofi_rxm",
    "ofi+verbs": VERBS,
    "ofi+sm": _SHARED_MEMORY,
}


def full_name(provider: str) -> str:
    """The name under which a provider is listed."""
    return _ALIASES.get(provider, provider)


def by_rules(interfaces: Iterable[Interface], sysfs: Path = SYSFS) -> list[Offer]:
    """What works by the rules, best first."""
    usable = [interface.name for interface in interfaces if _usable(interface)]
    offers = []
    for provider in _ON_INTERFACES:
        domains = ["shm"] if provider == _SHARED_MEMORY else usable
        offers += [Offer(provider, domain) for domain in domains]
    return offers + [Offer(VERBS, device.name) for device in children(sysfs / "class" / "infiniband")]


def slingshot(sysfs: Path = SYSFS) -> list[Offer]:
    """Devices of class cxi, which libfabric lists only once its own driver is set up."""
    return [Offer(CXI, device.name) for device in children(sysfs / "class" / "cxi")]


def _usable(interface: Interface) -> bool:
    carries = interface.state in (State.READY, State.UNKNOWN)  # many virtual interfaces say no more than unknown
    return interface.up and carries and interface.device_class in _CLASSES and bool(interface.addresses)
