"""Faults of the dRPC sockets."""

from daos_control.faults.code import Code
from daos_control.faults.core import Fault


def socket_in_use(path: str) -> Fault:
    return Fault(
        "drpc",
        Code.SOCKET_FILE_IN_USE,
        f"another process is already listening on the socket {path}",
        "stop the other process, or set another socket_dir in this server's configuration file",
    )
