"""What happens to members after they have joined: results of operations, deaths, exclusion, removal, lookup."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from daos_control.faults import ControlError
from daos_control.faults import server as server_faults
from daos_control.system import properties
from daos_control.system.changes import Change, PutMember, RemoveMember
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.events import EngineState, RasEvent
from daos_control.system.hosts import HostSet, with_port
from daos_control.system.member import Member
from daos_control.system.properties import SelfHeal
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult
from daos_control.system.state import MemberState, StateMask, may_follow

DEFAULT_CONTROL_PORT = 10001


class Effect(Enum):
    """What an event did to a member; for logs, and to know whether something has to follow."""

    APPLIED = "applied"
    UNKNOWN_RANK = "the rank is no member"
    OLDER_INCARNATION = "it is about an earlier run of the engine"
    NO_TRANSITION = "the member's state does not change by it"
    NOT_WANTED = "the system's self_heal property does not ask for it"
    MALFORMED = "the event lacks what its kind must carry"


def decide_states(
    db: SystemDatabase, results: Iterable[RankResult], now: datetime, *, update_on_failure: bool
) -> Decision[tuple[RankResult, ...]]:
    """Record the state of each result, where it may follow the member's present one.

    A failure is recorded only with `update_on_failure`. Ranks that are no members (any more) are passed over. The
    result are the same results, each with the address of its member where it had none.

    Raises ValueError for a failure in another state than ERRORED or UNRESPONSIVE.
    """
    filled: list[RankResult] = []
    members: dict[int, Member] = {}
    for result in results:
        if result.errored and result.state not in (MemberState.ERRORED, MemberState.UNRESPONSIVE):
            raise ValueError(f"errored result for rank {result.rank} has conflicting state {result.state.name}")
        known = members.get(result.rank) or db.member_of_rank(result.rank)
        if known is None:
            filled.append(result)
            continue
        filled.append(result if result.address else replace(result, address=known.address))
        if (update_on_failure or not result.errored) and may_follow(known.state, result.state):
            members[result.rank] = known.with_state(result.state, result.message, now)
    return Decision(tuple(PutMember(m) for m in members.values()), tuple(filled))


def decide_engine_died(db: SystemDatabase, event: RasEvent, now: datetime) -> Decision[Effect]:
    """Record that an engine ended unexpectedly: its member is ERRORED, with the event's message as the reason."""
    if not isinstance(event.detail, EngineState):
        return Decision((), Effect.MALFORMED)
    member = db.member_of_rank(event.rank)
    if member is None:
        return Decision((), Effect.UNKNOWN_RANK)
    if _is_older(event.incarnation, member):
        return Decision((), Effect.OLDER_INCARNATION)
    if not may_follow(member.state, MemberState.ERRORED):
        return Decision((), Effect.NO_TRANSITION)
    errored = member.with_state(MemberState.ERRORED, event.message, now)
    return Decision((PutMember(errored),), Effect.APPLIED)


def decide_swim_rank_dead(db: SystemDatabase, event: RasEvent, now: datetime) -> Decision[Effect]:
    """Exclude the rank that its peers call dead, if the system is to do so by itself (property self_heal).

    APPLIED asks for a new group map.
    """
    if not properties.self_heal(db) & SelfHeal.EXCLUDE:
        return Decision((), Effect.NOT_WANTED)
    return decide_rank_dead(db, event.rank, event.incarnation, now)


def decide_rank_dead(db: SystemDatabase, rank: int, incarnation: int, now: datetime) -> Decision[Effect]:
    """Exclude a dead rank; `incarnation` is the run that died, 0 where that is not known."""
    member = db.member_of_rank(rank)
    if member is None:
        return Decision((), Effect.UNKNOWN_RANK)
    if _is_older(incarnation, member):
        return Decision((), Effect.OLDER_INCARNATION)
    if not may_follow(member.state, MemberState.EXCLUDED):
        return Decision((), Effect.NO_TRANSITION)
    excluded = member.with_state(MemberState.EXCLUDED, member.info, now)
    return Decision((PutMember(excluded),), Effect.APPLIED)


def _is_older(incarnation: int, member: Member) -> bool:
    return 0 < incarnation < member.incarnation


def decide_exclude(
    db: SystemDatabase, ranks: RankSet, now: datetime, *, clear: bool
) -> Decision[tuple[RankResult, ...]]:
    """Exclude ranks by an administrator's word, or `clear` that: then they may join again.

    Clearing leaves ranks alone that no administrator had excluded. Raises ControlError for a rank that is no
    member.
    """
    action = "clear admin-excluded state" if clear else "set admin-excluded state"
    changes: list[Change] = []
    results: list[RankResult] = []
    for rank in ranks:
        member = db.member_of_rank(rank)
        if member is None:
            raise ControlError(f"invalid rank(s): {rank}")
        is_excluded = member.state is MemberState.ADMIN_EXCLUDED
        if clear and is_excluded:
            member = member.with_state(MemberState.EXCLUDED, "", now)
            changes.append(PutMember(member))
        elif not clear and not is_excluded:
            member = member.with_state(MemberState.ADMIN_EXCLUDED, "", now)
            changes.append(PutMember(member))
        results.append(RankResult(rank, action, member.state, address=member.address))
    return Decision(tuple(changes), tuple(results))


def decide_remove(db: SystemDatabase, ranks: RankSet) -> Decision[None]:
    """Forget the members of `ranks`; those that are none are passed over."""
    return Decision(tuple(RemoveMember(db.ranks[rank]) for rank in ranks if rank in db.ranks), None)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Which members a request means, and what it named that is none."""

    ranks: RankSet
    absent_ranks: RankSet
    absent_hosts: HostSet

    def require_all(self) -> None:
        """For operations that need their targets to exist. Raises ControlError with what is absent, or for none."""
        if self.absent_hosts:
            raise ControlError(f"invalid host(s): {self.absent_hosts}")
        if self.absent_ranks:
            raise ControlError(f"invalid rank(s): {self.absent_ranks}")
        if not self.ranks:
            raise ControlError("no ranks to operate on")


def hosts_to_resolve(hosts: str) -> tuple[str, ...]:
    """The "name:port" of each host of a list, to be looked up before `resolve`. Raises ControlError."""
    return tuple(with_port(host, DEFAULT_CONTROL_PORT) for host in HostSet.parse(hosts))


def resolve(db: SystemDatabase, ranks: str, hosts: str, addresses: Mapping[str, str | None]) -> Resolved:
    """The members that a request means by `ranks` or `hosts`; all of them where both are empty.

    `addresses` has the "ip:port" of each of `hosts_to_resolve(hosts)`, None where looking it up failed. Raises
    ControlError where both are given, or one is no such list.
    """
    if hosts and ranks:
        raise ControlError("ranklist and hostlist cannot both be set in request")
    if hosts:
        return _resolve_hosts(db, HostSet.parse(hosts), addresses)
    members = RankSet(db.ranks)
    if not ranks:
        return Resolved(members, RankSet(), HostSet())
    asked = RankSet.parse(ranks)
    return Resolved(asked & members, asked - members, HostSet())


def _resolve_hosts(db: SystemDatabase, hosts: HostSet, addresses: Mapping[str, str | None]) -> Resolved:
    by_address = ranks_by_address(db, RankSet(db.ranks))
    found: list[int] = []
    absent: list[str] = []
    for host in hosts:
        address = addresses.get(with_port(host, DEFAULT_CONTROL_PORT))
        ranks = None if address is None else by_address.get(address)
        if ranks is None:
            absent.append(host)
        else:
            found.extend(ranks)
    return Resolved(RankSet(found), RankSet(), HostSet(absent))


def without_admin_excluded(db: SystemDatabase, ranks: RankSet, *, explicit: bool, ignore: bool) -> RankSet:
    """`ranks` without those that an administrator has excluded.

    Naming such a rank is Fault 622 (`explicit`), unless they are to be passed over (`ignore`). Raises ControlError
    where none is left of some.
    """
    excluded = RankSet(m.rank for r in ranks if (m := db.member_of_rank(r)) and _is_admin_excluded(m))
    if not excluded:
        return ranks
    if explicit and not ignore:
        raise server_faults.rank_admin_excluded(str(excluded), len(excluded))
    kept = ranks - excluded
    if not kept:
        raise ControlError("all requested ranks are administratively excluded")
    return kept


def _is_admin_excluded(member: Member) -> bool:
    return member.state is MemberState.ADMIN_EXCLUDED


def ranks_by_address(db: SystemDatabase, ranks: RankSet) -> dict[str, RankSet]:
    """`ranks` by the control address of their hosts; ranks that are no members are left out."""
    found: dict[str, list[int]] = defaultdict(list)
    for rank in ranks:
        member = db.member_of_rank(rank)
        if member is not None:
            found[member.address].append(rank)
    return {address: RankSet(on_host) for address, on_host in found.items()}


def query(db: SystemDatabase, ranks: RankSet, mask: int = StateMask.ALL) -> list[Member]:
    """Members of `ranks` whose state is in `mask` (0: any), in the order of ranks."""
    mask = mask or StateMask.ALL
    members = (db.member_of_rank(rank) for rank in ranks)
    return [m for m in members if m is not None and m.state & mask]


def available_ranks(db: SystemDatabase) -> RankSet:
    """The ranks that pools may be placed on."""
    return RankSet(m.rank for m in db.members.values() if m.is_available)
