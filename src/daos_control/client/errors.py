"""What went wrong with a call: from gRPC's errors to the typed ones, and the questions retries ask of them.

A server's own error arrives with its type (a Fault, a DAOS status, NotLeader...). Everything else is a status
code with a text: here it becomes a Fault where it tells of the connection, else a RemoteError.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from daos_control.faults import (
    Code,
    ControlError,
    DaosError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    PoolNotFoundError,
    RemoteError,
    SystemUnavailableError,
    SystemUninitializedError,
)
from daos_control.faults import client as client_faults
from daos_control.faults.core import EMPTY_GROUP_MAP, RAFT_UNAVAILABLE, STEP_UP_IN_PROGRESS, UNINITIALIZED

if TYPE_CHECKING:
    import grpc

# What an error's text must contain (the part that does not vary) to be one of these.
_RAFT_TEXT = RAFT_UNAVAILABLE.partition(" (")[0]
_STEP_UP_TEXT = STEP_UP_IN_PROGRESS.partition(" (")[0]
_UNINITIALIZED_TEXT = UNINITIALIZED.partition(" (")[0]
_EMPTY_MAP_TEXT = EMPTY_GROUP_MAP.partition(" (")[0]

CONNECTION_CODES: Final = frozenset(
    {
        Code.CLIENT_CONNECTION_BAD_HOST,
        Code.CLIENT_CONNECTION_CLOSED,
        Code.CLIENT_CONNECTION_NO_ROUTE,
        Code.CLIENT_CONNECTION_REFUSED,
        Code.CLIENT_CONNECTION_TIMED_OUT,
    }
)
RETRYABLE_CONNECTION_CODES: Final = frozenset(
    {Code.CLIENT_CONNECTION_CLOSED, Code.CLIENT_CONNECTION_REFUSED, Code.CLIENT_CONNECTION_TIMED_OUT}
)

# Texts of gRPC, in lower case, and the Fault each means; the first that is found counts. The later entries of a
# Fault are the words of the C core where they differ from those of Go's library.
_CONNECTION_TEXTS: Final = (
    ("certificate has expired", Code.SECURITY_INVALID_CERT),
    ("certificate expired", Code.SECURITY_INVALID_CERT),
    ("connection refused", Code.CLIENT_CONNECTION_REFUSED),
    ("no route to host", Code.CLIENT_CONNECTION_NO_ROUTE),
    ("network is unreachable", Code.CLIENT_CONNECTION_NO_ROUTE),
    ("no such host", Code.CLIENT_CONNECTION_BAD_HOST),
    ("name or service not known", Code.CLIENT_CONNECTION_BAD_HOST),
    ("domain name not found", Code.CLIENT_CONNECTION_BAD_HOST),
    ("dns resolution failed", Code.CLIENT_CONNECTION_BAD_HOST),
    ("i/o timeout", Code.CLIENT_CONNECTION_TIMED_OUT),
    ("connection timed out", Code.CLIENT_CONNECTION_TIMED_OUT),
    ("timeout occurred", Code.CLIENT_CONNECTION_TIMED_OUT),
    ("connection attempt timed out", Code.CLIENT_CONNECTION_CLOSED),
    ("connection closed", Code.CLIENT_CONNECTION_CLOSED),
    ("transport is closing", Code.CLIENT_CONNECTION_CLOSED),
    ("closed the connection", Code.CLIENT_CONNECTION_CLOSED),
    ("socket closed", Code.CLIENT_CONNECTION_CLOSED),
    ("connection reset", Code.CLIENT_CONNECTION_CLOSED),
    ("handshake failed", Code.CLIENT_CONNECTION_CLOSED),
    ("handshaker shutdown", Code.CLIENT_CONNECTION_CLOSED),
    ("failed parsing http/2", Code.CLIENT_CONNECTION_CLOSED),
    ("goaway received", Code.CLIENT_CONNECTION_CLOSED),
    ("broken pipe", Code.CLIENT_CONNECTION_CLOSED),
)

_CONNECTION_FAULTS: Final = {
    Code.CLIENT_CONNECTION_BAD_HOST: client_faults.connection_bad_host,
    Code.CLIENT_CONNECTION_CLOSED: client_faults.connection_closed,
    Code.CLIENT_CONNECTION_NO_ROUTE: client_faults.connection_no_route,
    Code.CLIENT_CONNECTION_REFUSED: client_faults.connection_refused,
    Code.CLIENT_CONNECTION_TIMED_OUT: client_faults.connection_timed_out,
}


class OperationError(Exception):
    """A failure with the operation in front: "pool query failed: ...". `cause` is the failure itself."""

    def __init__(self, context: str, cause: Exception) -> None:
        super().__init__(f"{context}: {cause}")
        self.context: Final = context
        self.cause: Final = cause


class PartialFailureError(ControlError):
    """Some hosts, ranks or pools failed; `response` has what each of them answered."""

    def __init__(self, text: str, response: object) -> None:
        super().__init__(text)
        self.response: Final = response


class ManagementServiceUnreachableError(ControlError):
    """None of the servers asked for the management service could be connected to; `cause` is one's Fault."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{cause}: unable to contact the DAOS Management Service")
        self.cause: Final = cause


# What a call can fail with because of the other side; anything else is a mistake in the program.
CALL_ERRORS: Final = (
    Fault,
    ControlError,
    DaosError,
    NotLeaderError,
    NotReplicaError,
    PoolNotFoundError,
    OperationError,
)


@contextmanager
def operation(context: str) -> Iterator[None]:
    """Put `context` in front of whatever error leaves the block."""
    try:
        yield
    except CALL_ERRORS as e:
        raise OperationError(context, e) from e


def root_cause(error: Exception) -> Exception:
    """The error without the operations in front of it."""
    while isinstance(error, OperationError):
        error = error.cause
    return error


def connection_fault(address: str, text: str) -> Fault | None:
    """The Fault that gRPC's `text` about the connection to `address` means; None where it means none."""
    lowered = text.lower()
    for needle, code in _CONNECTION_TEXTS:
        if needle in lowered:
            if code is Code.SECURITY_INVALID_CERT:
                return client_faults.expired_certificate(address, text)
            return _CONNECTION_FAULTS[code](address)
    return None


def from_rpc_error(error: "grpc.RpcError", address: str) -> Exception:
    """The typed error that a call to `address` ended with."""
    from daos_control.faults import wire

    typed = wire.from_rpc_error(error)
    if isinstance(typed, RemoteError) and typed.code in ("Unavailable", "Unknown", "Internal"):
        return connection_fault(address, typed.text) or typed
    return typed


def is_connection_error(error: BaseException | None) -> bool:
    return isinstance(error, Fault) and error.code in CONNECTION_CODES


def is_retryable_connection_error(error: BaseException | None) -> bool:
    return isinstance(error, Fault) and error.code in RETRYABLE_CONNECTION_CODES


def is_timeout(error: BaseException | None) -> bool:
    """Whether one try took too long; the connection's own timeout counts as well."""
    if isinstance(error, Fault):
        return error.code in (Code.CLIENT_CONNECTION_TIMED_OUT, Code.CLIENT_RPC_TIMEOUT)
    return isinstance(error, TimeoutError)


def is_unavailable(error: BaseException | None) -> bool:
    """Whether the management service is there but cannot answer just now."""
    if isinstance(error, Fault):
        return error.code == Code.SERVER_DATA_PLANE_NOT_STARTED
    if isinstance(error, SystemUnavailableError):
        return EMPTY_GROUP_MAP not in str(error)
    return _has_text(error, _RAFT_TEXT) or _has_text(error, _STEP_UP_TEXT)


def is_uninitialized(error: BaseException | None) -> bool:
    """Whether the server has no formatted storage yet, so that no system exists."""
    return isinstance(error, SystemUninitializedError) or _has_text(error, _UNINITIALIZED_TEXT)


def is_empty_group_map(error: BaseException | None) -> bool:
    return _has_text(error, _EMPTY_MAP_TEXT)


def _has_text(error: BaseException | None, text: str) -> bool:
    return isinstance(error, ControlError) and text in str(error)
