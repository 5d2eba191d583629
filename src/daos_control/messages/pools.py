"""Pools: records and requests to mgmt messages and back."""

from collections.abc import Iterable

from daos_control.proto.mgmt import pool_pb2
from daos_control.system.pool import PoolService
from daos_control.system.pools import CreateRequest

LABEL_PROPERTY = 1


def to_list_entry(pool: PoolService) -> pool_pb2.ListPoolsResp.Pool:
    return pool_pb2.ListPoolsResp.Pool(
        uuid=pool.uuid, label=pool.label, svc_reps=pool.replicas, state=pool.state.wire_name
    )


def create_request(request: pool_pb2.PoolCreateReq, uuid: str) -> CreateRequest:
    """The domain's view of the request; its label is the property of that number, "" where there is none."""
    return CreateRequest(
        uuid=uuid,
        label=label_of(request.properties),
        ranks=tuple(request.ranks),
        num_ranks=request.num_ranks,
        tier_bytes=tuple(request.tier_bytes),
        tier_ratio=tuple(request.tier_ratio),
        total_bytes=request.total_bytes,
        mem_ratio=request.mem_ratio,
        service_replicas=request.num_svc_reps,
    )


def label_of(values: Iterable[pool_pb2.PoolProperty]) -> str:
    return next((value.strval for value in values if value.number == LABEL_PROPERTY), "")


def to_properties(values: Iterable[tuple[int, int | str]]) -> list[pool_pb2.PoolProperty]:
    """(number, value) pairs as messages; a number goes as a number."""
    return [
        pool_pb2.PoolProperty(number=number, numval=value)
        if isinstance(value, int)
        else pool_pb2.PoolProperty(number=number, strval=value)
        for number, value in values
    ]
