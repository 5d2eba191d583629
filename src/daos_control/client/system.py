"""The system as a whole: its members, stop and start, erase, its leader, attributes and properties."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from daos_control.client import ms, retry
from daos_control.client.connection import Client, mgmt
from daos_control.client.errors import (
    CALL_ERRORS,
    PartialFailureError,
    is_unavailable,
    operation,
)
from daos_control.client.model import HIDDEN, HostsResponse, fold_errors, named, plural, plural_word
from daos_control.client.retry import Policy
from daos_control.faults import ControlError, NotReplicaError
from daos_control.proto.mgmt import svc_pb2, system_pb2
from daos_control.proto.shared import ranks_pb2
from daos_control.system.hosts import HostSet
from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState, StateMask

SYSTEM_QUERY = mgmt("SystemQuery", system_pb2.SystemQueryReq, system_pb2.SystemQueryResp)
SYSTEM_STOP = mgmt("SystemStop", system_pb2.SystemStopReq, system_pb2.SystemStopResp)
SYSTEM_START = mgmt("SystemStart", system_pb2.SystemStartReq, system_pb2.SystemStartResp)
SYSTEM_ERASE = mgmt("SystemErase", system_pb2.SystemEraseReq, system_pb2.SystemEraseResp)
LEADER_QUERY = mgmt("LeaderQuery", svc_pb2.LeaderQueryReq, svc_pb2.LeaderQueryResp)

# How long leader_query waits for a replica once another one has answered.
REPLICA_ANSWER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class SystemMember:
    """One engine of the system. `last_update` is the server's text (RFC 3339, UTC)."""

    addr: str
    state: MemberState
    fault_domain: str
    rank: int
    incarnation: int
    uuid: str
    fabric_uri: str
    secondary_fabric_uris: tuple[str, ...]
    fabric_contexts: int
    secondary_fabric_contexts: tuple[int, ...]
    info: str
    last_update: str

    @classmethod
    def from_proto(cls, m: system_pb2.SystemMember) -> Self:
        return cls(
            addr=m.addr,
            state=MemberState.from_wire_name(m.state),
            fault_domain=m.fault_domain,
            rank=m.rank,
            incarnation=m.incarnation,
            uuid=m.uuid,
            fabric_uri=m.fabric_uri,
            secondary_fabric_uris=tuple(m.secondary_fabric_uris),
            fabric_contexts=m.fabric_contexts,
            secondary_fabric_contexts=(),
            info=m.info,
            last_update=m.last_update,
        )


@dataclass(frozen=True, slots=True)
class RankOutcome:
    """What an operation on one rank came to; `msg` is the error where `errored`."""

    state: MemberState
    addr: str = field(metadata=named("Addr"))
    rank: int = field(metadata=named("Rank"))
    action: str = field(metadata=named("Action"))
    errored: bool = field(metadata=named("Errored"))
    msg: str = field(metadata=named("Msg"))

    @classmethod
    def from_proto(cls, m: ranks_pb2.RankResult) -> Self:
        return cls(MemberState.from_wire_name(m.state), m.addr, m.rank, m.action, m.errored, m.msg)


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """The members asked for, with the fabric providers and the self-heal policy of the system."""

    members: tuple[SystemMember, ...]
    providers: tuple[str, ...]
    sys_self_heal_policy: str
    absent_hosts: HostSet = field(metadata=HIDDEN)
    absent_ranks: RankSet = field(metadata=HIDDEN)

    @property
    def failure(self) -> PartialFailureError | None:
        """An error for what was asked for and is not in the system; None where nothing is amiss."""
        text = _absent_text(self.absent_hosts, self.absent_ranks)
        return PartialFailureError(text, self) if text else None


@dataclass(frozen=True, slots=True)
class RanksResponse:
    """Results of an operation, one for each rank."""

    results: tuple[RankOutcome, ...] = field(metadata=named("Results"))
    absent_hosts: HostSet = field(metadata=HIDDEN)
    absent_ranks: RankSet = field(metadata=HIDDEN)

    @property
    def failure(self) -> PartialFailureError | None:
        failed = _failed_ranks(self.results)
        text = _absent_text(self.absent_hosts, self.absent_ranks)
        if failed:
            text = ", ".join(filter(None, (text, f"check results for {failed}")))
        return PartialFailureError(text, self) if text else None


@dataclass(frozen=True, slots=True)
class EraseResponse(HostsResponse):
    """Results of an erase; the ranks that failed are also in `host_errors`, by host."""

    results: tuple[RankOutcome, ...] = field(metadata=named("Results"))

    @property
    def failure(self) -> PartialFailureError | None:
        failed = _failed_ranks(self.results)
        return PartialFailureError(failed, self) if failed else None


@dataclass(frozen=True, slots=True)
class LeaderResponse:
    """The leader of the management service (empty while there is none) and its replicas."""

    current_leader: str
    replicas: tuple[str, ...]
    down_replicas: tuple[str, ...]


async def query(
    client: Client,
    *,
    ranks: RankSet = RankSet(),  # noqa: B008 immutable
    rank_hosts: HostSet = HostSet(),  # noqa: B008 immutable
    states: int = 0,
    not_joined: bool = False,
    hosts: Sequence[str] | None = None,
    policy: Policy = retry.DEFAULT,
) -> QueryResponse:
    """The members of the system: all, or those of `ranks`, on `rank_hosts`, in one of `states` (a mask)."""
    mask = int(StateMask.ALL) & ~int(MemberState.JOINED) if not_joined else states or int(StateMask.ALL)
    request = system_pb2.SystemQueryReq(
        sys=client.request_name, ranks=str(ranks), hosts=str(rank_hosts), state_mask=mask
    )
    reply = await ms.invoke(client, SYSTEM_QUERY, request, hosts=hosts, policy=policy)
    return QueryResponse(
        members=tuple(SystemMember.from_proto(m) for m in reply.members),
        providers=tuple(reply.providers),
        sys_self_heal_policy=reply.sys_self_heal_policy,
        absent_hosts=HostSet.parse(reply.absenthosts),
        absent_ranks=RankSet.parse(reply.absentranks),
    )


async def stop(
    client: Client,
    *,
    ranks: RankSet = RankSet(),  # noqa: B008 immutable
    rank_hosts: HostSet = HostSet(),  # noqa: B008 immutable
    full: bool = False,
    ignore_admin_excluded: bool = False,
) -> RanksResponse:
    """Stop engines: at once, or with `full` the whole system in order (pools disconnected first)."""
    if full and (ranks or rank_hosts):
        raise ControlError("a full stop is of the whole system: it takes no ranks and no hosts")
    request = system_pb2.SystemStopReq(
        sys=client.request_name,
        force=not full,
        ranks=str(ranks),
        hosts=str(rank_hosts),
        ignore_admin_excluded=ignore_admin_excluded,
    )
    reply = await ms.invoke(client, SYSTEM_STOP, request)
    return _ranks_response(reply)


async def start(
    client: Client,
    *,
    ranks: RankSet = RankSet(),  # noqa: B008 immutable
    rank_hosts: HostSet = HostSet(),  # noqa: B008 immutable
    ignore_admin_excluded: bool = False,
) -> RanksResponse:
    """Start engines that are stopped."""
    request = system_pb2.SystemStartReq(
        sys=client.request_name,
        ranks=str(ranks),
        hosts=str(rank_hosts),
        ignore_admin_excluded=ignore_admin_excluded,
    )
    reply = await ms.invoke(client, SYSTEM_START, request)
    return _ranks_response(reply)


async def erase(client: Client) -> EraseResponse:
    """Forget the system, so that its storage can be formatted again. Refused while any rank still runs."""
    await _check_all_stopped(client)
    request = system_pb2.SystemEraseReq(sys=client.request_name)
    reply = await ms.invoke(client, SYSTEM_ERASE, request, policy=retry.ERASE)
    results = tuple(RankOutcome.from_proto(r) for r in reply.results)
    counts: dict[tuple[str, str], int] = {}
    for result in results:
        if not result.addr:
            raise ControlError(f"the server gave no host address with the result of rank {result.rank}")
        if result.errored:
            key = (result.addr, result.msg or "error message missing for rank result")
            counts[key] = counts.get(key, 0) + 1
    failures = [
        (addr, ControlError(f"{plural(count, 'rank')} failed: {msg}")) for (addr, msg), count in counts.items()
    ]
    return EraseResponse(fold_errors(failures), results)


async def _check_all_stopped(client: Client) -> None:
    try:
        members = (await query(client, policy=retry.QUERY_OR_FAIL)).members
    except CALL_ERRORS as e:
        if isinstance(e, NotReplicaError) or is_unavailable(e):
            return  # nothing runs that could know of running ranks
        with operation("System-Query command failed"):
            raise
    alive = RankSet(m.rank for m in members if m.state & StateMask.AVAILABLE)
    if alive:
        raise ControlError(
            f"system erase requires the following {plural(len(alive), 'rank')} to be stopped: {alive}"
        )


async def leader_query(client: Client) -> LeaderResponse:
    """Who leads the management service, and which of its replicas answer."""
    request = svc_pb2.LeaderQueryReq(sys=client.request_name)
    reply = await ms.invoke(client, LEADER_QUERY, request)
    replicas = tuple(reply.replicas)
    down: tuple[str, ...] = ()
    if replicas:
        second = await ms.invoke_detailed(
            client, LEADER_QUERY, request, hosts=replicas, linger=REPLICA_ANSWER_SECONDS
        )
        alive = {result.address for result in second.results if result.error is None}
        down = tuple(replica for replica in client.addresses(replicas) if replica not in alive)
    return LeaderResponse(reply.current_leader, replicas, down)


def group_members(members: Sequence[SystemMember]) -> dict[str, RankSet]:
    """The ranks in each state, by the state's name as people read it."""
    groups: dict[str, RankSet] = {}
    for member in members:
        name = state_title(member.state)
        groups[name] = groups.get(name, RankSet()) | RankSet([member.rank])
    return groups


def state_title(state: MemberState) -> str:
    """ "AdminExcluded"."""
    return state.name.title().replace("_", "")


def _ranks_response(reply: system_pb2.SystemStopResp | system_pb2.SystemStartResp) -> RanksResponse:
    return RanksResponse(
        results=tuple(RankOutcome.from_proto(r) for r in reply.results),
        absent_hosts=HostSet.parse(reply.absenthosts),
        absent_ranks=RankSet.parse(reply.absentranks),
    )


def _failed_ranks(results: Sequence[RankOutcome]) -> str:
    failed = RankSet(result.rank for result in results if result.errored)
    return f"failed {plural_word(len(failed), 'rank')} {failed}" if failed else ""


def _absent_text(hosts: HostSet, ranks: RankSet) -> str:
    parts = []
    if hosts:
        parts.append(f"non-existent hosts {hosts}")
    if ranks:
        parts.append(f"non-existent ranks {ranks}")
    return ", ".join(parts)
