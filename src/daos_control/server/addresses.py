"""Control addresses: those of the replicas, and the one by which this server is known."""

import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from daos_control.config.host import control_interface_address
from daos_control.config.models import ServerConfig
from daos_control.faults import serverconfig
from daos_control.server import problems

ANY = "0.0.0.0"

Resolve = Callable[[str], Sequence[str]]
"""Host name to addresses; raises OSError where it has none."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """`replicas` are "ip:port" in the order of the configuration.

    `control` is this server's "ip:port" as it tells others ("0.0.0.0:port": they take it from the connection),
    `listen` what it binds to.
    """

    replicas: tuple[str, ...]
    control: str
    listen: str

    @property
    def is_replica(self) -> bool:
        return self.control in self.replicas

    @property
    def is_bootstrap(self) -> bool:
        """Whether a new system begins here."""
        return self.replicas[:1] == (self.control,)


def find(
    config: ServerConfig, interfaces: Mapping[str, Sequence[str]], *, resolve: Resolve | None = None
) -> Addresses:
    """Raises Fault 705 for a replica without an address, 739 and 740 for a control_iface that cannot be used.

    `interfaces` has the addresses of this host. It is a replica when one of their addresses is its own: that
    of control_iface or daos_control.control_address where set, else any of this host with its port.
    """
    own_addresses = {address for addresses in interfaces.values() for address in addresses}
    replicas = tuple(_resolved(entry, resolve or addresses_of) for entry in config.mgmt_svc_replicas)
    own = next((r for r in replicas if _port(r) == config.port and _is_own(_host(r), own_addresses)), None)

    chosen = config.daos_control.control_address
    if config.control_iface:
        chosen = _address_of(config.control_iface, interfaces)
        if own is not None and f"{chosen}:{config.port}" not in replicas:
            raise serverconfig.control_interface_mismatch(chosen, _host(own))
    elif chosen is not None and not _is_own(chosen, own_addresses):
        raise problems.bad_control_address(chosen, "no interface of this host has it")
    if chosen is not None:
        address = f"{chosen}:{config.port}"
        return Addresses(replicas, address, address)
    return Addresses(replicas, own or f"{ANY}:{config.port}", f"{ANY}:{config.port}")


def _address_of(interface: str, interfaces: Mapping[str, Sequence[str]]) -> str:
    address = control_interface_address(tuple(interfaces.get(interface, ())))
    if address is None:
        why = "it has no IPv4 address" if interface in interfaces else "it does not exist"
        raise serverconfig.bad_control_interface(interface, why)
    return address


def _is_own(address: str, own: set[str]) -> bool:
    return ipaddress.ip_address(address).is_loopback or address in own


def _resolved(entry: str, resolve: Resolve) -> str:
    host, _, port = entry.rpartition(":")
    try:
        found = resolve(host.strip("[]"))
    except OSError as error:
        raise serverconfig.bad_replicas(f"{entry} has no address: {error.strerror or error}") from error
    if not found:
        raise serverconfig.bad_replicas(f"{entry} has no address")
    parsed = sorted((ipaddress.ip_address(text) for text in found), key=lambda ip: (ip.version, ip.packed))
    first = parsed[0]
    return f"[{first}]:{port}" if first.version == 6 else f"{first}:{port}"


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def addresses_of(host: str) -> list[str]:
    """What the system's resolver knows; raises OSError where it knows nothing."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]
