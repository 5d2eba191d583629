"""Faults of the control API: what keeps a client from getting an answer (domain "client", and 903)."""

from collections.abc import Mapping

from daos_control.faults.code import Code
from daos_control.faults.core import Fault

_DOMAIN = "client"


def bad_control_port(port: object) -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONFIG_BAD_CONTROL_PORT,
        f"the control port {port} is not usable: it must be between 1 and 65535",
        "set 'port' in the control configuration (daos_control.yml) to the port of the servers, by default 10001",
    )


def empty_host_list() -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONFIG_EMPTY_HOST_LIST,
        "there is no server to ask: the host list is empty",
        "name the servers with --host-list, or as 'hostlist' in the control configuration (daos_control.yml)",
    )


def connection_bad_host(address: str) -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONNECTION_BAD_HOST,
        f"the name in the server address {address} has no entry in DNS or the hosts file",
        "check the spelling of the address, and that the name resolves on this machine",
    )


def connection_no_route(address: str) -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONNECTION_NO_ROUTE,
        f"there is no network route to the server at {address}",
        "check the address, and that the server's network can be reached from this machine",
    )


def connection_refused(address: str) -> Fault:
    """The description is one that scripts look for; it is DAOS's own."""
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONNECTION_REFUSED,
        f"the server at {address} refused the connection",
        "check that daos_server runs there and listens on that port",
    )


def connection_closed(address: str) -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONNECTION_CLOSED,
        f"the server at {address} hung up before it answered",
        "check that both sides use certificates of the same authority, or that both have allow_insecure set",
    )


def connection_timed_out(address: str) -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONNECTION_TIMED_OUT,
        f"the server at {address} did not accept the connection in time",
        "check the address, that daos_server runs there, and that no firewall drops its port",
    )


def format_running_system() -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_FORMAT_RUNNING_SYSTEM,
        "the system is running, so its storage is not formatted",
        "stop it with 'dmg system stop' and remove it with 'dmg system erase' first, then format again",
    )


def rpc_timeout(request: str, seconds: float) -> Fault:
    return Fault(
        _DOMAIN,
        Code.CLIENT_RPC_TIMEOUT,
        f"the {request} request was not answered within {duration(seconds)}",
        "try again; if it happens again, look into the logs of the servers",
    )


def expired_certificate(address: str, detail: str) -> Fault:
    """A certificate of either side has run out; the library cannot always tell which."""
    return Fault(
        "security",
        Code.SECURITY_INVALID_CERT,
        f"the TLS handshake with {address} failed: {detail}",
        "renew the certificate that has expired, and check the clocks of both machines",
    )


def duration(seconds: float) -> str:
    """Seconds in the form "1h0m0s", "5m0s", "10s", "2.5s"."""
    if seconds < 60:
        return f"{seconds:g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def vmd_imbalance(ssds: Mapping[int, int]) -> Fault:
    """`ssds` has the number of SSDs of each NUMA node."""
    counts = ", ".join(f"{count} on node {node}" for node, count in sorted(ssds.items()))
    return Fault(
        _DOMAIN,
        Code.CLIENT_CONFIG_VMD_IMBALANCE,
        f"the numbers of SSDs behind VMDs differ between NUMA nodes: {counts}",
        "disable VMD in the firmware of the host, or give every NUMA node as many SSDs behind its VMDs",
    )
