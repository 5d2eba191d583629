"""Where an engine is reached: the address of its interface, and the URI that tells it to others."""

import fcntl
import socket
import struct
from dataclasses import dataclass

from daos_control.engine.errors import StartError

_SIOCGIFADDR = 0x8915
_INTERFACE_NAME_BYTES_MAX = 15


def interface_ipv4(name: str) -> str:
    """The IPv4 address of a network interface. Raises StartError where there is no such interface or address."""
    raw = name.encode()
    if len(raw) > _INTERFACE_NAME_BYTES_MAX:
        raise StartError(f"network interface {name!r} (D_INTERFACE): no such interface")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("256s", raw))
        except OSError as error:
            known = name in (interface for _, interface in socket.if_nameindex())
            reason = "it has no IPv4 address" if known else "no such interface"
            raise StartError(f"network interface {name!r} (D_INTERFACE): {reason}") from error
    return socket.inet_ntoa(answer[20:24])


@dataclass(frozen=True, slots=True)
class FabricAddress:
    """`<provider>://<host>:<port>`, as engines announce themselves."""

    provider: str
    host: str
    port: int

    @classmethod
    def parse(cls, uri: str) -> "FabricAddress":
        """Raises ValueError for anything else than provider://host:port."""
        provider, separator, rest = uri.partition("://")
        host, colon, port = rest.rpartition(":")
        if not (provider and separator and host and colon and port.isascii() and port.isdigit()):
            raise ValueError(f"{uri!r} is no fabric URI (provider://host:port)")
        if not 0 < int(port) < 1 << 16:
            raise ValueError(f"{uri!r} has a port out of range")
        return cls(provider, host, int(port))

    def __str__(self) -> str:
        return f"{self.provider}://{self.host}:{self.port}"
