"""What the configuration asks of the machine: checked against a snapshot, so that the decision stays pure."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daos_control.config.models import ServerConfig
from daos_control.config.problems import Finding
from daos_control.faults import Code
from daos_control.faults import serverconfig as faults


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What there is.

    `interfaces` has the addresses of each network interface, IPv4 ones for the control plane among them.
    `modes` has st_mode of the files that `files_of` names, None for one that is missing. `replica_address` is the
    IPv4 address of this host among the replicas, None if it is none.
    """

    interfaces: Mapping[str, tuple[str, ...]]
    modes: Mapping[Path, int | None] = field(default_factory=dict)
    replica_address: str | None = None


def files_of(config: ServerConfig) -> list[Path]:
    """The files and directories whose state `check_host` looks at."""
    transport = config.transport_config
    paths = [config.socket_dir]
    if not transport.allow_insecure:
        paths += [transport.ca_cert, transport.cert, transport.key]
    return paths


def modes_of(config: ServerConfig) -> dict[Path, int | None]:
    """Look at the files of `files_of`."""
    return {path: _mode(path) for path in files_of(config)}


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def check_host(config: ServerConfig, host: HostSnapshot) -> Iterator[Finding]:
    """Everything that the machine lacks; `fault_cb` apart, which is looked at when it is run."""
    mode = host.modes.get(config.socket_dir)
    if mode is None or not stat.S_ISDIR(mode):
        what = (
            f"{config.socket_dir} is no directory" if mode else f"the directory {config.socket_dir} does not exist"
        )
        yield Finding(("socket_dir",), what, "make it, owned by the user of daos_server")
    yield from _check_interfaces(config, host)
    yield from _check_control_interface(config, host)
    if not config.transport_config.allow_insecure:
        for name in ("ca_cert", "cert", "key"):
            path = getattr(config.transport_config, name)
            if host.modes.get(path) is None:
                where = ("transport_config", name)
                allowed = "make certificates with `dmg cert init`, or set allow_insecure to do without"
                yield Finding(where, f"{path} does not exist", allowed, Code.SECURITY_MISSING_CERT_FILE)


def _check_interfaces(config: ServerConfig, host: HostSnapshot) -> Iterator[Finding]:
    for index, engine in enumerate(config.engines):
        addresses = host.interfaces.get(engine.fabric_iface)
        where = ("engines", index, "fabric_iface")
        if addresses is None:
            known = ", ".join(sorted(host.interfaces))
            yield Finding(where, f"this host has no network interface {engine.fabric_iface}", f"one of {known}")
        elif not addresses:
            what = f"the network interface {engine.fabric_iface} has no address"
            yield Finding(where, what, "give it an address, or name another one")


def _check_control_interface(config: ServerConfig, host: HostSnapshot) -> Iterator[Finding]:
    name = config.control_iface
    if not name:
        return
    addresses = host.interfaces.get(name)
    first = control_interface_address(addresses or ())
    if first is None:
        why = "it does not exist" if addresses is None else "it has no IPv4 address"
        yield Finding.of(faults.bad_control_interface(name, why), ("control_iface",))
    elif host.replica_address is not None and host.replica_address != first:
        fault = faults.control_interface_mismatch(first, host.replica_address)
        yield Finding.of(fault, ("control_iface",))


def control_interface_address(addresses: tuple[str, ...]) -> str | None:
    """The lowest IPv4 address among those of an interface."""
    ipv4 = [address for address in addresses if "." in address and ":" not in address]
    return min(ipv4, key=lambda text: tuple(int(part) for part in text.split(".")), default=None)
