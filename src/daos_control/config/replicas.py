"""The hosts of the management service, as written and with their ports."""

from collections.abc import Iterator

from daos_control.config.models import DEFAULT_REPLICA, ServerConfig
from daos_control.config.problems import Finding
from daos_control.config.values import PORT_MAX
from daos_control.faults import Fault
from daos_control.faults import serverconfig as faults


def configured(config: ServerConfig) -> tuple[str, list[str]]:
    """The key that names the replicas, and its entries; `access_points` is the key's old name."""
    if not config.mgmt_svc_replicas and config.access_points:
        return "access_points", config.access_points
    return "mgmt_svc_replicas", config.mgmt_svc_replicas


def with_ports(config: ServerConfig) -> list[str]:
    """The replicas as host:port; `port` is that of the entries without one. The entries are valid."""
    _, entries = configured(config)
    made = []
    for entry in entries or [DEFAULT_REPLICA]:
        host, port = _split(entry)
        made.append(f"{host}:{config.port if port is None else port}")
    return made


def port_of(entry: str) -> int | None:
    """The port that an entry names; None where it names none. Fault 704 or 706 where it is no address."""
    try:
        return _split(entry)[1]
    except _BadEntry as exc:
        raise exc.fault from None


def check_replicas(config: ServerConfig) -> Iterator[Finding]:
    """Entries that are no address, double ones, and, where there are engines, an even number of them."""
    key, entries = configured(config)
    if config.mgmt_svc_replicas and config.access_points:
        what = "access_points is the deprecated name of mgmt_svc_replicas, and both are set"
        yield Finding(("access_points",), what, "remove access_points")
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        try:
            host, port = _split(entry)
        except _BadEntry as exc:
            yield Finding.of(exc.fault, (key, index))
            continue
        address = f"{host}:{config.port if port is None else port}"
        if address in seen:
            fault = faults.bad_replicas(f"{address} is named twice")
            alike = entry in entries[:index]  # else they are the same only with the port filled in
            yield Finding.of(fault, (key, index), *(() if alike else (("port",),)))
        seen.setdefault(address, index)
    if config.engines and entries and len(entries) % 2 == 0:
        yield Finding.of(faults.even_replicas(len(entries)), (key,))


class _BadEntry(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.description)
        self.fault = fault


def _split(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry; an IPv6 address with or without port stands in brackets."""
    host, colon, port = entry.rpartition(":")
    if entry.endswith("]"):
        host, colon, port = entry, "", ""
    if not colon:
        host = entry
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or any(c.isspace() for c in host) or (":" in host and not bracketed) or host == "[]":
        raise _BadEntry(faults.bad_replicas(f'"{entry}" is no host and no host:port'))
    if not colon:
        return host, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= PORT_MAX):
        raise _BadEntry(faults.bad_control_port(f'"{entry}" has no valid port'))
    return host, int(port)
