"""Every error a person can meet: code, what happened, what to do.

`core` has the error types; one module per fault domain has the constructors of its Faults (`storage.py`,
`bdev.py`, `serverconfig.py`, `server.py`, `system.py`, `client.py`, `security.py`, `pbin.py`); `wire` carries
them over gRPC.
"""

from daos_control.faults.code import Code
from daos_control.faults.core import (
    ControlError,
    DaosError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    PoolNotFoundError,
    RemoteError,
    SystemUnavailableError,
    SystemUninitializedError,
    UnimplementedError,
)
from daos_control.faults.status import Status

__all__ = [
    "Code",
    "ControlError",
    "DaosError",
    "Fault",
    "NotLeaderError",
    "NotReplicaError",
    "PoolNotFoundError",
    "RemoteError",
    "Status",
    "SystemUnavailableError",
    "SystemUninitializedError",
    "UnimplementedError",
]
