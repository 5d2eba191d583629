"""Host names to the addresses under which members are recorded."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from daos_control.faults import ControlError
from daos_control.ms.calls import Call

_ANY = "0.0.0.0"


def split(text: str) -> tuple[str, int]:
    """ "host:port" taken apart; raises ControlError where it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 0xFFFF:
        raise ControlError(f"{text!r} is no address of the form host:port")
    return host.strip("[]"), int(port)


async def look_up(text: str) -> str | None:
    """ "host:port" as "ip:port", IPv4 before IPv6; None for a host that nobody knows."""
    host, port = split(text)
    try:
        ip = str(ipaddress.ip_address(host))
    except ValueError:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return None
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        ip = str(found[0][4][0])
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


async def look_up_all(hosts: Iterable[str]) -> dict[str, str | None]:
    """`look_up` of each, side by side."""
    distinct = list(dict.fromkeys(hosts))
    return dict(zip(distinct, await asyncio.gather(*(look_up(host) for host in distinct)), strict=True))


async def joining_address(stated: str, call: Call) -> str:
    """The control address of a server that joins: as it states, with the peer's IP in place of 0.0.0.0.

    Raises ControlError where it cannot be understood or resolved.
    """
    host, port = split(stated)
    if host == _ANY:
        return f"{call.peer_ip}:{port}"
    address = await look_up(stated)
    if address is None:
        raise ControlError(f"failed to parse {stated!r} into a peer control address: no such host")
    return address
