"""Errors keep their type and parts on their way to a peer, in the form DAOS's Go programs read and write."""

import asyncio
import json
import logging

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status as RpcStatus
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import (
    Code,
    ControlError,
    DaosError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    PoolNotFoundError,
    RemoteError,
    Status,
    SystemUninitializedError,
)
from daos_control.faults.unimplemented import UnimplementedFault
from daos_control.faults.wire import abort_details, from_rpc_error

TEXT = st.text(max_size=30)
UUID = "adaf89fb-ca27-4b6a-8c62-fda1fdbb669f"


def carried(error: BaseException) -> Exception:
    """The error after a journey over gRPC."""
    code, text, trailing = abort_details(error)
    return from_rpc_error(
        grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=text)
    )


def info(error: BaseException) -> ErrorInfo:
    _, _, ((key, value),) = abort_details(error)
    assert key == "grpc-status-details-bin"
    (packed,) = RpcStatus.FromString(value).details
    unpacked = ErrorInfo()
    assert packed.Unpack(unpacked)
    return unpacked


@given(domain=TEXT, code=st.sampled_from(Code), description=TEXT, resolution=TEXT, reason=TEXT)
def test_a_fault_keeps_all_its_parts(
    domain: str, code: Code, description: str, resolution: str, reason: str
) -> None:
    got = carried(Fault(domain, code, description, resolution, reason))
    assert isinstance(got, Fault)
    assert (got.domain, got.code, got.description) == (domain, code, description)
    assert (got.resolution, got.reason) == (resolution, reason)


@given(status=st.sampled_from([s for s in Status if s]))
def test_a_daos_status_keeps_its_number(status: Status) -> None:
    got = carried(DaosError(status))
    assert isinstance(got, DaosError)
    assert got.status == status


@given(hint=TEXT, replicas=st.lists(TEXT, max_size=5))
def test_steering_errors_keep_hint_and_replicas(hint: str, replicas: list[str]) -> None:
    leader = carried(NotLeaderError(hint, tuple(replicas)))
    assert isinstance(leader, NotLeaderError)
    assert (leader.leader_hint, leader.replicas) == (hint, tuple(replicas))
    replica = carried(NotReplicaError(tuple(replicas)))
    assert isinstance(replica, NotReplicaError)
    assert replica.replicas == tuple(replicas)


@pytest.mark.parametrize(
    "error", [PoolNotFoundError(uuid=UUID), PoolNotFoundError(label="tank"), PoolNotFoundError(rank=3)]
)
def test_a_pool_not_found_keeps_what_was_looked_for(error: PoolNotFoundError) -> None:
    got = carried(error)
    assert isinstance(got, PoolNotFoundError)
    assert (got.uuid, got.label, got.rank) == (error.uuid, error.label, error.rank)


def test_the_details_are_those_that_go_programs_read() -> None:
    fault = info(Fault("storage", 101, "d", "r", "why"))
    assert (fault.reason, fault.domain) == ("proto.fault.Fault", "storage")
    assert dict(fault.metadata) == {
        "Domain": "storage", "Code": "101", "Description": "d", "Reason": "why", "Resolution": "r",
    }  # fmt: skip
    status = info(DaosError(Status.NOSPACE))
    assert (status.reason, status.domain, dict(status.metadata)) == (
        "proto.daos.DaosStatus",
        "DAOS",
        {"Status": "-1007"},
    )
    pool = info(PoolNotFoundError(label="tank"))
    assert json.loads(pool.metadata["PoolInfo"]) == {"Rank": None, "UUID": None, "Label": "tank"}
    leader = info(NotLeaderError("10.0.0.1:10001", ("10.0.0.2:10001",)))
    assert dict(leader.metadata) == {"LeaderHint": "10.0.0.1:10001", "Replicas": '["10.0.0.2:10001"]'}


def test_typed_errors_are_internal_and_texts_unknown() -> None:
    assert abort_details(Fault("server", 610, "d", "r"))[0] is grpc.StatusCode.INTERNAL
    code, text, trailing = abort_details(SystemUninitializedError())
    assert (code, text, trailing) == (
        grpc.StatusCode.UNKNOWN, "system is uninitialized (storage format required?)", (),
    )  # fmt: skip
    assert str(carried(SystemUninitializedError())) == (
        "rpc error: code = Unknown desc = system is uninitialized (storage format required?)"
    )


def test_deadline_and_cancel_have_their_own_codes() -> None:
    assert abort_details(TimeoutError())[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert abort_details(asyncio.CancelledError())[0] is grpc.StatusCode.CANCELLED
    assert isinstance(carried(TimeoutError()), TimeoutError)


def test_a_refusal_keeps_its_grpc_code() -> None:
    code, text, _ = abort_details(RemoteError("PermissionDenied", "agent may not"))
    assert (code, text) == (grpc.StatusCode.PERMISSION_DENIED, "agent may not")


def test_a_method_that_is_not_offered_is_unimplemented_with_a_fault() -> None:
    error = UnimplementedFault("/ctl.CtlSvc/FirmwareQuery")
    assert abort_details(error)[0] is grpc.StatusCode.UNIMPLEMENTED
    got = carried(error)
    assert isinstance(got, Fault)
    assert "FirmwareQuery" in got.description
    assert got.resolution


def test_an_error_nobody_foresaw_becomes_a_labelled_fault_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        got = carried(KeyError("lost"))
    assert isinstance(got, Fault)
    assert got.code == Code.SERVER_UNKNOWN
    assert "KeyError" in got.description
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("value", [b"\xff\xff", b"", "text"])
def test_details_that_cannot_be_read_leave_the_plain_error(value: bytes) -> None:
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", value), ("grpc-status-details-bin", value))
    error = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), trailing, details="why")
    assert str(from_rpc_error(error)) == "rpc error: code = Internal desc = why"


def test_an_unknown_reason_or_broken_numbers_leave_the_plain_error() -> None:
    for metadata in ({"Status": "many"}, {}):
        detail = ErrorInfo(reason="proto.daos.DaosStatus", metadata=metadata)
        status = RpcStatus(code=13, message="why")
        status.details.add().Pack(detail)
        trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
        error = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), trailing, details="why")
        assert isinstance(from_rpc_error(error), ControlError)
