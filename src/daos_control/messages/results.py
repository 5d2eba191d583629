"""Results of what was done to ranks, to shared.RankResult and back."""

from collections.abc import Iterable

from daos_control.proto.shared import ranks_pb2
from daos_control.system.results import RankResult
from daos_control.system.state import MemberState


def to_proto(result: RankResult) -> ranks_pb2.RankResult:
    return ranks_pb2.RankResult(
        rank=result.rank,
        action=result.action,
        errored=result.errored,
        msg=result.message,
        state=result.state.wire_name,
        addr=result.address,
    )


def from_proto(message: ranks_pb2.RankResult) -> RankResult:
    return RankResult(
        rank=message.rank,
        action=message.action,
        state=MemberState.from_wire_name(message.state),
        errored=message.errored,
        message=message.msg,
        address=message.addr,
    )


def to_protos(results: Iterable[RankResult]) -> list[ranks_pb2.RankResult]:
    return [to_proto(result) for result in results]


def from_protos(messages: Iterable[ranks_pb2.RankResult]) -> list[RankResult]:
    return [from_proto(message) for message in messages]
