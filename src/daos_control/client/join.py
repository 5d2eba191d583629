"""How an engine becomes a member: its server asks the management service, for as long as that takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daos_control.client import ms, retry
from daos_control.client.connection import Client, mgmt
from daos_control.faults import DaosError
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.join import JoinRequest
from daos_control.system.state import MemberState

JOIN = mgmt("Join", svc_pb2.JoinReq, svc_pb2.JoinResp)

# A leader may be long in coming, after all replicas were restarted for example; one try is not.
JOIN_TIMEOUT_SECONDS: Final = 3600.0
TRY_TIMEOUT_SECONDS: Final = 10.0

_STATES: Final = {
    svc_pb2.JoinResp.IN: MemberState.JOINED,
    svc_pb2.JoinResp.OUT: MemberState.EXCLUDED,
    svc_pb2.JoinResp.CHECK: MemberState.CHECKER_STARTED,
}


@dataclass(frozen=True, slots=True)
class Joined:
    """What the engine is to be told: its rank, the version of the group map that has it.

    `is_local` says that the engine bootstraps the group: it is the first of the leader's own host.
    """

    rank: int
    state: MemberState
    is_local: bool
    map_version: int


async def join(
    client: Client,
    request: JoinRequest,
    *,
    replicas: Sequence[str],
    timeout: float = JOIN_TIMEOUT_SECONDS,  # noqa: ASYNC109
) -> Joined:
    """Ask until it is granted, or refused for good (a Fault or ControlError of the leader).

    `client` is of component "server". Fault 510 after `timeout` seconds.
    """
    message = svc_pb2.JoinReq(
        sys=client.request_name,
        uuid=request.uuid,
        rank=request.rank,
        uri=request.fabric_uri,
        nctxs=request.fabric_contexts,
        addr=request.address,
        srvFaultDomain=request.fault_domain,
        idx=request.index,
        incarnation=request.incarnation,
        secondary_uris=request.secondary_fabric_uris,
        secondary_nctxs=request.secondary_fabric_contexts,
        check_mode=request.check_mode,
        replace=request.replace,
    )
    reply = await ms.invoke(
        client,
        JOIN,
        message,
        policy=retry.JOIN,
        hosts=replicas,
        timeout=timeout,
        try_timeout=TRY_TIMEOUT_SECONDS,
    )
    if reply.status:
        raise DaosError(reply.status)
    return Joined(reply.rank, _STATES[reply.state], reply.localJoin, reply.map_version)
