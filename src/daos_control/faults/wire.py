"""Errors on the wire: typed errors to gRPC status details and back, as DAOS's Go programs read and write them.

A typed error travels as status INTERNAL with one google.rpc.ErrorInfo whose `reason` names the type
(membership.md 7.2); other errors travel as UNKNOWN with their text, by which peers match them.
"""

import asyncio
import json
import logging
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status as RpcStatus

from daos_control.faults.code import Code
from daos_control.faults.core import (
    ControlError,
    DaosError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    PoolNotFoundError,
    RemoteError,
    UnimplementedError,
)
from daos_control.faults.unimplemented import UnimplementedFault

FAULT: Final = "proto.fault.Fault"
DAOS_STATUS: Final = "proto.daos.DaosStatus"
NOT_LEADER: Final = "proto.system.ErrNotLeader"
NOT_REPLICA: Final = "proto.system.ErrNotReplica"
POOL_NOT_FOUND: Final = "proto.system.ErrPoolNotFound"

_DETAILS_KEY = "grpc-status-details-bin"
_DAOS_DOMAIN = "DAOS"

_log = logging.getLogger(__name__)

Aborting = tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]
"""What a handler's context is aborted with: code, text, trailing metadata."""


def abort_details(error: BaseException) -> Aborting:
    """How a handler's error goes to the peer; one that nobody foresaw becomes a Fault, and is logged."""
    if isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED, "context deadline exceeded", ()
    if isinstance(error, asyncio.CancelledError):
        return grpc.StatusCode.CANCELLED, "context canceled", ()
    if isinstance(error, RemoteError):
        return _status_code(error.code), error.text, ()
    info = _error_info(error)
    if isinstance(error, UnimplementedError):
        return grpc.StatusCode.UNIMPLEMENTED, str(error), ()
    if info is not None:
        offered = not isinstance(error, UnimplementedFault)
        code = grpc.StatusCode.INTERNAL if offered else grpc.StatusCode.UNIMPLEMENTED
        return _with_details(code, str(error), info)
    if isinstance(error, ControlError):
        return grpc.StatusCode.UNKNOWN, str(error), ()
    return abort_details(unexpected(error))


def unexpected(error: BaseException) -> Fault:
    """One well-labelled Fault for an error that nobody foresaw; its traceback goes to the log."""
    _log.error("unexpected %s: %s", type(error).__name__, error, exc_info=error)
    return Fault(
        "server",
        Code.SERVER_UNKNOWN,
        f"unexpected error in the control server: {type(error).__name__}: {error}",
        "this is a defect: report it with the server's log, which holds the details; trying again may help",
    )


def _error_info(error: BaseException) -> ErrorInfo | None:
    match error:
        case Fault():
            metadata = {
                "Domain": error.domain,
                "Code": str(error.code),
                "Description": error.description,
                "Reason": error.reason,
                "Resolution": error.resolution,
            }
            return ErrorInfo(reason=FAULT, domain=error.domain, metadata=metadata)
        case DaosError():
            return ErrorInfo(reason=DAOS_STATUS, domain=_DAOS_DOMAIN, metadata={"Status": str(int(error.status))})
        case NotLeaderError():
            metadata = {"LeaderHint": error.leader_hint, "Replicas": json.dumps(error.replicas)}
            return ErrorInfo(reason=NOT_LEADER, domain=_DAOS_DOMAIN, metadata=metadata)
        case NotReplicaError():
            metadata = {"Replicas": json.dumps(error.replicas)}
            return ErrorInfo(reason=NOT_REPLICA, domain=_DAOS_DOMAIN, metadata=metadata)
        case PoolNotFoundError():
            wanted = {"Rank": error.rank, "UUID": error.uuid or None, "Label": error.label or None}
            return ErrorInfo(reason=POOL_NOT_FOUND, domain=_DAOS_DOMAIN, metadata={"PoolInfo": json.dumps(wanted)})
    return None


def _with_details(code: grpc.StatusCode, text: str, info: ErrorInfo) -> Aborting:
    packed = AnyMessage()
    packed.Pack(info)
    status = RpcStatus(code=code.value[0], message=text, details=[packed])
    return code, text, ((_DETAILS_KEY, status.SerializeToString()),)


def from_rpc_error(error: grpc.RpcError) -> Exception:
    """The typed error that a peer raised; RemoteError, TimeoutError or UnimplementedError where it sent no details.

    `error` is a grpc.aio.AioRpcError. Connection trouble (UNAVAILABLE) comes as RemoteError("Unavailable", text):
    what it means is the client's to say.
    """
    if not isinstance(error, grpc.aio.AioRpcError):
        raise TypeError(f"{type(error).__name__} is no answer of a grpc.aio call")
    text = error.details() or ""
    for info in _infos(error):
        decoded = _decode(info)
        if decoded is not None:
            return decoded
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimeoutError(text)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return UnimplementedError(text)
    return RemoteError(_go_name(code), text)


def _infos(error: grpc.aio.AioRpcError) -> list[ErrorInfo]:
    found = []
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            for packed in RpcStatus.FromString(value).details:
                info = ErrorInfo()
                if packed.Unpack(info):
                    found.append(info)
        except DecodeError:
            _log.debug("status details of a peer cannot be decoded")
    return found


def _decode(info: ErrorInfo) -> Exception | None:
    metadata = info.metadata
    try:
        match info.reason:
            case "proto.fault.Fault":
                return Fault(
                    metadata["Domain"],
                    int(metadata["Code"]),
                    metadata["Description"],
                    metadata["Resolution"],
                    metadata["Reason"],
                )
            case "proto.daos.DaosStatus":
                return DaosError(int(metadata["Status"]))
            case "proto.system.ErrNotLeader":
                return NotLeaderError(metadata["LeaderHint"], _strings(metadata["Replicas"]))
            case "proto.system.ErrNotReplica":
                return NotReplicaError(_strings(metadata["Replicas"]))
            case "proto.system.ErrPoolNotFound":
                wanted = json.loads(metadata["PoolInfo"])
                return PoolNotFoundError(
                    uuid=wanted.get("UUID") or "", label=wanted.get("Label") or "", rank=wanted.get("Rank")
                )
    except (ValueError, AttributeError, TypeError):
        _log.debug("details of a %s cannot be read", info.reason)
    return None


def _strings(text: str) -> tuple[str, ...]:
    """A JSON array of strings; Go writes an empty one as null."""
    return tuple(str(item) for item in json.loads(text) or ())


def _go_name(code: grpc.StatusCode) -> str:
    """ "DeadlineExceeded" for DEADLINE_EXCEEDED: Go's names stand in the texts that people and scripts know."""
    return "OK" if code is grpc.StatusCode.OK else code.name.replace("_", " ").title().replace(" ", "")


_BY_GO_NAME = {_go_name(code): code for code in grpc.StatusCode} | {"Canceled": grpc.StatusCode.CANCELLED}


def _status_code(go_name: str) -> grpc.StatusCode:
    return _BY_GO_NAME.get(go_name, grpc.StatusCode.UNKNOWN)
