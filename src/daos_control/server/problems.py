"""Faults of the server process that DAOS has no number of its own for, or only a plain text."""

from collections.abc import Iterable
from pathlib import Path

from daos_control.faults import Code, Fault


def _server(description: str, resolution: str) -> Fault:
    return Fault("server", Code.SERVER_UNKNOWN, description, resolution)


def _config(description: str, resolution: str) -> Fault:
    return Fault("serverconfig", Code.SERVER_BAD_CONFIG, description, resolution)


# Starting the server


def socket_directory_missing(directory: Path) -> Fault:
    return _server(
        f"the socket directory {directory} does not exist",
        f"create it for the user that runs daos_server (mkdir -p {directory}), or set socket_dir to another one",
    )


def socket_directory_unusable(directory: Path, why: str) -> Fault:
    return _server(
        f"the socket directory {directory} cannot be used: {why}",
        "set socket_dir to a directory that the user of daos_server may write to",
    )


def socket_directory_in_use(directory: Path, pid: int | None) -> Fault:
    """Fault 6, which DAOS has for a living listener: here for a living server, whether it listens yet or not."""
    holder = "another daos_server" if pid is None else f"another daos_server (pid {pid})"
    return Fault(
        "drpc",
        Code.SOCKET_FILE_IN_USE,
        f"{holder} already uses the socket directory {directory}",
        "stop the other server, or set another socket_dir in this server's configuration file",
    )


def control_port_in_use(address: str, why: str) -> Fault:
    return _server(
        f"cannot listen on {address}: {why}",
        "stop the program that holds the port (ss -ltnp shows it), or set port, and the ports of "
        "mgmt_svc_replicas, to a free one",
    )


def bad_log_file(path: Path, why: str) -> Fault:
    return _config(
        f"the log file {path} cannot be opened: {why}",
        "create its directory for the user of daos_server, or set control_log_file to another path",
    )


def bad_control_address(address: str, why: str) -> Fault:
    return _config(
        f"daos_control.control_address {address} cannot be used: {why}",
        "set it to an IPv4 address of this host, as 127.0.0.2",
    )


def no_place_for_database() -> Fault:
    return _config(
        "this server is a management service replica, and there is no place for the system database",
        "configure an engine with an SCM tier, or set control_metadata.path",
    )


# Programs of engines


def engine_binary_missing(name: str, searched: Iterable[Path]) -> Fault:
    places = ", ".join(str(place) for place in searched)
    return _server(
        f"the engine program {name} was not found (looked in: {places or 'nowhere, as PATH is empty'})",
        "install DAOS's engine and put it on the PATH, set daos_control.engine_binary to it, or start with "
        "--embedded-engine to run the embedded one",
    )


def engine_binary_not_executable(path: Path) -> Fault:
    return _server(
        f"the engine program {path} cannot be executed",
        f"make it executable (chmod +x {path}), or set daos_control.engine_binary to another one",
    )


def bad_environment(engine: int, name: str, what: str, cure: str) -> Fault:
    """An environment variable that would break engine number `engine`."""
    return _config(f"engine {engine}: the environment variable {name} {what}", cure)


def fabric_interface_unusable(interface: str, why: str) -> Fault:
    return _server(
        f"the fabric interface {interface} cannot be used: {why}",
        "bring the interface up with an address, or set fabric_iface to another one (daos_server network scan "
        "lists them)",
    )


# Storage


def corrupt_superblock(path: Path, why: str) -> Fault:
    return _server(
        f"the superblock {path} is damaged: {why}",
        f"nothing was changed: restore {path} from a copy; only if the data of this engine may be lost, remove the "
        "file and run 'dmg storage format'",
    )


def superblock_not_written(path: Path, why: str) -> Fault:
    return _server(
        f"the superblock {path} could not be written: {why}",
        "check that its file system is mounted, writable and has free space, then run 'dmg system start'",
    )
