"""Pools: list and query them, destroy them, their properties, their connections and containers.

`pool_create` creates them. A pool is named by its label or its uuid.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from daos_control.client import ms, retry
from daos_control.client.connection import Client, mgmt
from daos_control.client.errors import CALL_ERRORS, operation
from daos_control.client.pool_types import (
    DEFAULT_MASK,
    PoolInfo,
    PoolList,
    PoolState,
    PropertyValue,
    QueryMask,
)
from daos_control.faults import ControlError, DaosError, NotLeaderError, NotReplicaError, PoolNotFoundError
from daos_control.proto.mgmt import pool_pb2
from daos_control.system import pool_properties
from daos_control.system.pool_properties import PoolProperty, Value

POOL_QUERY = mgmt("PoolQuery", pool_pb2.PoolQueryReq, pool_pb2.PoolQueryResp)
POOL_DESTROY = mgmt("PoolDestroy", pool_pb2.PoolDestroyReq, pool_pb2.PoolDestroyResp)
POOL_EVICT = mgmt("PoolEvict", pool_pb2.PoolEvictReq, pool_pb2.PoolEvictResp)
POOL_GET_PROP = mgmt("PoolGetProp", pool_pb2.PoolGetPropReq, pool_pb2.PoolGetPropResp)
POOL_SET_PROP = mgmt("PoolSetProp", pool_pb2.PoolSetPropReq, pool_pb2.PoolSetPropResp)
LIST_POOLS = mgmt("ListPools", pool_pb2.ListPoolsReq, pool_pb2.ListPoolsResp)
LIST_CONTAINERS = mgmt("ListContainers", pool_pb2.ListContReq, pool_pb2.ListContResp)

DEFAULT_SELF_HEAL: Final = "exclude;rebuild"


async def query(client: Client, pool: str, mask: QueryMask = DEFAULT_MASK) -> PoolInfo:
    """What the pool's service says of it. With SELF_HEAL_POLICY in the mask its property is fetched as well."""
    info = await _query(client, pool, mask, PoolInfo())
    if QueryMask.SELF_HEAL_POLICY in mask:
        with operation("pool get-prop self_heal failed"), operation("PoolGetProp"):
            found = await get_properties(client, info.uuid, [pool_properties.by_name("self_heal")])
        policy = found[0].text if found else DEFAULT_SELF_HEAL
        info = replace(info, self_heal_policy=DEFAULT_SELF_HEAL if policy == "not set" else policy)
    return info


async def list_pools(client: Client, *, query_each: bool = True) -> PoolList:
    """All pools, in the order of their labels; those that are ready are queried too, unless told otherwise."""
    reply = await ms.invoke(client, LIST_POOLS, pool_pb2.ListPoolsReq(sys=client.request_name))
    if reply.status:
        raise DaosError(reply.status)
    pools = [
        PoolInfo(state=PoolState.of(p.state), uuid=p.uuid, label=p.label, svc_reps=tuple(p.svc_reps))
        for p in reply.pools
    ]
    if not query_each:
        return PoolList(reply.status, tuple(pools), {})
    errors: dict[str, Exception] = {}
    for index, listed in enumerate(pools):
        if listed.state is not PoolState.READY:
            continue
        try:
            pools[index] = await _query(client, listed.uuid, QueryMask(0), listed)
        except CALL_ERRORS as e:
            errors[listed.uuid] = e
    return PoolList(reply.status, tuple(sorted(pools, key=lambda p: p.label)), errors)


async def destroy(client: Client, pool: str, *, recursive: bool = False, force: bool = False) -> None:
    """Destroy a pool; `recursive` with its containers, `force` although clients have it open."""
    request = pool_pb2.PoolDestroyReq(sys=client.request_name, id=pool, recursive=recursive, force=force)
    failed: list[Exception] = []
    with operation("pool destroy failed"):
        try:
            reply = await ms.invoke(client, POOL_DESTROY, request, policy=retry.POOL, on_retry=failed.append)
        except PoolNotFoundError:
            # A try before this one may have destroyed it; one that was only sent elsewhere has not.
            if not any(not isinstance(e, (NotLeaderError, NotReplicaError)) for e in failed):
                raise
        else:
            _check(reply.status)


async def evict(client: Client, pool: str, *, handles: Iterable[str] = ()) -> None:
    """Close the connections of clients to a pool: all, or those of `handles`."""
    request = pool_pb2.PoolEvictReq(sys=client.request_name, id=pool, handles=list(handles))
    with operation("pool evict failed"):
        _check((await ms.invoke(client, POOL_EVICT, request, policy=retry.POOL)).status)


async def get_properties(
    client: Client, pool: str, properties: Sequence[PoolProperty] = ()
) -> tuple[PropertyValue, ...]:
    """Properties of a pool, all or those given, in the order of their names; what it does not have is left out."""
    wanted = sorted(properties or pool_properties.TABLE, key=lambda p: p.name)
    request = pool_pb2.PoolGetPropReq(
        sys=client.request_name, id=pool, properties=[pool_pb2.PoolProperty(number=p.number) for p in wanted]
    )
    reply = await ms.invoke(client, POOL_GET_PROP, request, policy=retry.POOL)
    _check(reply.status)
    values: dict[int, Value | None] = {}
    for answer in reply.properties:
        if answer.number in values:
            raise ControlError(f"the server gave pool property {answer.number} twice")
        kind = answer.WhichOneof("value")
        if kind is None:
            raise ControlError(f"the server gave pool property {answer.number} without a value")
        values[answer.number] = answer.strval if kind == "strval" else answer.numval
    return tuple(PropertyValue(p, values[p.number]) for p in wanted if p.number in values)


async def set_properties(client: Client, pool: str, values: Sequence[PropertyValue]) -> None:
    """Set properties of a pool; values are as `PoolProperty.parse` makes them."""
    if not values:
        raise ControlError("no properties are given to set")
    request = pool_pb2.PoolSetPropReq(sys=client.request_name, id=pool, properties=to_proto(values))
    with operation("pool set-prop failed"):
        _check((await ms.invoke(client, POOL_SET_PROP, request, policy=retry.POOL)).status)


async def list_containers(client: Client, pool: str) -> tuple[str, ...]:
    """The uuids of a pool's containers."""
    request = pool_pb2.ListContReq(sys=client.request_name, id=pool)
    reply = await ms.invoke(client, LIST_CONTAINERS, request, policy=retry.POOL)
    _check(reply.status)
    return tuple(container.uuid for container in reply.containers)


def to_proto(values: Iterable[PropertyValue]) -> list[pool_pb2.PoolProperty]:
    """Properties as they are sent, in the order of their names."""
    messages = []
    for item in sorted(values, key=lambda item: item.which.name):
        message = pool_pb2.PoolProperty(number=item.which.number)
        if isinstance(item.value, int):
            message.numval = item.value
        elif item.value is not None:
            message.strval = item.value
        messages.append(message)
    return messages


async def _query(client: Client, pool: str, mask: QueryMask, known: PoolInfo) -> PoolInfo:
    request = pool_pb2.PoolQueryReq(sys=client.request_name, id=pool, query_mask=int(mask))
    return known.with_answer(await ms.invoke(client, POOL_QUERY, request, policy=retry.POOL))


def _check(status: int) -> None:
    if status:
        raise DaosError(status)
