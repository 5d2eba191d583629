"""Joining: whether an engine may become, or remain, a member, and under which rank.

An engine announces itself each time that it has started. Its uuid (that of its superblock) and its rank belong
together for good; only an explicit replace gives a rank to another uuid.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from daos_control.faults import ControlError, SystemUnavailableError
from daos_control.faults import server as server_faults
from daos_control.faults import serverconfig as config_faults
from daos_control.faults import system as system_faults
from daos_control.faults.core import STEP_UP_IN_PROGRESS
from daos_control.system import events, properties
from daos_control.system.changes import Change, PutMember, RemoveMember, SetAttributes, SetNextRank
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.events import RasEvent
from daos_control.system.fault_domain import FaultDomain, levels_of
from daos_control.system.member import MAX_RANK, NIL_RANK, Member
from daos_control.system.names import canonical_uuid
from daos_control.system.state import MemberState

_LABEL_SEPARATOR = "="


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What an engine says of itself, in the fields of mgmt.JoinReq.

    `address` is the control address "ip:port" of its server, already resolved. `rank` is NIL_RANK where it has
    none yet. `index` is its number on its host. `replace` asks for the rank of an earlier engine at that place.
    """

    uuid: str
    address: str
    fabric_uri: str
    fault_domain: str
    rank: int = NIL_RANK
    index: int = 0
    incarnation: int = 0
    fabric_contexts: int = 0
    secondary_fabric_uris: tuple[str, ...] = ()
    secondary_fabric_contexts: tuple[int, ...] = ()
    check_mode: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ReplaceCheck:
    """Found out before a replace is decided: the pools (uuid or label) in which `rank` is still enabled."""

    rank: int
    enabled_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JoinResult:
    """The member as recorded. `check_mode`: the answer is CHECK, not IN, as the system is being checked."""

    member: Member
    created: bool
    previous_state: MemberState | None
    check_mode: bool
    map_version: int


class JoinFailure(ControlError):
    """A refusal that a person must look at, because the engine is not what its record says."""


def refusal_event(request: JoinRequest, error: Exception, now: datetime, hostname: str) -> RasEvent | None:
    """The event that goes with a refused join; None where the refusal needs nobody's attention.

    `hostname` is that of the server that refused; the engine's own address is in the event's detail.
    """
    if not isinstance(error, JoinFailure):
        return None
    detail = f"{request.address}: {error}"
    return events.engine_join_failed(hostname, request.index, request.rank, request.incarnation, detail, now=now)


def replaced_rank(db: SystemDatabase, request: JoinRequest) -> int:
    """The rank that a replace would take: of the member with the same place and addresses and another uuid.

    Raises Fault 403 where there is none, ControlError where the request makes no sense.
    """
    if request.rank != NIL_RANK:
        raise ControlError("an engine that replaces another cannot have a rank yet")
    domain = str(FaultDomain.parse(request.fault_domain))
    if not db.members:
        raise ControlError("no rank can be replaced: the system has no members")
    fewest = None
    for member in db.members_by_rank():
        mismatches = sum(
            (
                member.address != request.address,
                member.fabric_uri != request.fabric_uri,
                member.secondary_fabric_uris != request.secondary_fabric_uris,
                member.fabric_contexts != request.fabric_contexts,
                member.secondary_fabric_contexts != request.secondary_fabric_contexts,
                member.fault_domain != domain,
            )
        )
        if not mismatches:
            if member.uuid == canonical_uuid(request.uuid):
                raise ControlError(f"member with uuid {member.uuid} already exists")
            return member.rank
        fewest = mismatches if fewest is None else min(fewest, mismatches)
    raise system_faults.replaced_rank_not_found(fewest or 0)


def decide_join(
    db: SystemDatabase, request: JoinRequest, now: datetime, *, replace_check: ReplaceCheck | None = None
) -> Decision[JoinResult]:
    """Admit the engine, or raise: JoinFailure, Fault 401, 403, 620, 621 or 717, SystemUnavailableError (try again
    when the leader has stepped up), ControlError.

    A replace needs `replace_check` of the rank that `replaced_rank` told.
    """
    uuid = canonical_uuid(request.uuid)
    if uuid is None:
        raise ControlError(f'invalid uuid "{request.uuid}"')
    request = replace(request, uuid=uuid)
    domain, label_changes = _check_domain(db, request)
    _check_provider(db, request)
    if request.replace:
        changes, result = _replace(db, request, replace_check, now)
    else:
        changes, result = _join(db, request, domain, now)
    resume = _resume_group_updates(db, result.member)
    return Decision((*label_changes, *changes, *resume), result)


def _check_domain(db: SystemDatabase, request: JoinRequest) -> tuple[FaultDomain, tuple[Change, ...]]:
    """The domain, and the change that records its labels as the system's where it is the first."""
    try:
        domain = FaultDomain.parse(request.fault_domain)
    except ControlError as error:
        raise config_faults.bad_fault_domain(str(error)) from error
    if domain.is_empty:
        raise ControlError("no fault domain in join request")
    known = _system_labels(db)
    if known is None:
        recorded = _LABEL_SEPARATOR.join(domain.labels or ("",) * domain.levels)
        return domain, (SetAttributes({properties.DOMAIN_LABELS: recorded}),) if recorded else ()
    # Without labels the depth is checked when the member is known: alone in the system it may change its own.
    if domain.labels != known:
        raise server_faults.bad_fault_domain_labels(request.fault_domain, request.address, domain.labels, known)
    return domain, ()


def _system_labels(db: SystemDatabase) -> tuple[str, ...] | None:
    """The labels of every domain, () where they have none; None before the first join.

    One level without a label leaves nothing to record; then a member tells.
    """
    recorded = db.attributes.get(properties.DOMAIN_LABELS)
    if recorded is not None:
        labels = tuple(recorded.split(_LABEL_SEPARATOR))
        return labels if any(labels) else ()
    for member in db.members.values():
        return FaultDomain.parse(member.fault_domain).labels
    return None


def _check_provider(db: SystemDatabase, request: JoinRequest) -> None:
    if not request.fabric_uri:
        raise ControlError("no primary fabric URI in join request")
    scheme, separator, _ = request.fabric_uri.partition("://")
    if not separator:
        raise ControlError(f'unable to parse fabric provider from URI "{request.fabric_uri}"')
    providers = properties.fabric_providers(db)
    if not providers:
        raise SystemUnavailableError(STEP_UP_IN_PROGRESS)
    if scheme != providers[0]:
        rank = "a new rank" if request.rank == NIL_RANK else f"rank {request.rank}"
        raise JoinFailure(
            f'fabric provider "{scheme}" of {rank} does not match system provider "{providers[0]}": '
            "set the same provider in every daos_server.yml"
        )


def _join(
    db: SystemDatabase, request: JoinRequest, domain: FaultDomain, now: datetime
) -> tuple[tuple[Change, ...], JoinResult]:
    has_rank = request.rank != NIL_RANK
    known = db.member_of_rank(request.rank) if has_rank else db.members.get(request.uuid)
    if known is None or len(db.members) > 1:
        _check_depth(db, domain)
    if known is None:
        return _join_new(db, request, domain, now)
    _check_known(known, request)
    member = replace(
        known,
        state=MemberState.CHECKER_STARTED if request.check_mode else MemberState.JOINED,
        info="",
        fabric_uri=request.fabric_uri,
        secondary_fabric_uris=request.secondary_fabric_uris,
        fabric_contexts=request.fabric_contexts,
        secondary_fabric_contexts=request.secondary_fabric_contexts,
        fault_domain=str(domain),
        incarnation=request.incarnation,
        last_update=now,
    )
    return (PutMember(member),), _result(db, member, known, map_changes=1)


def _join_new(
    db: SystemDatabase, request: JoinRequest, domain: FaultDomain, now: datetime
) -> tuple[tuple[Change, ...], JoinResult]:
    known = db.members.get(request.uuid)
    if known is not None:
        raise _rank_changed(known, request)
    rank = request.rank
    taken: tuple[Change, ...] = ()
    if rank == NIL_RANK:
        rank = next(r for r in _ranks_from(db.next_rank) if r not in db.ranks)
        if rank >= MAX_RANK:
            raise ControlError("no rank is left to assign")
        taken = (SetNextRank(rank + 1),)
    member = Member(
        rank=rank,
        uuid=request.uuid,
        address=request.address,
        fabric_uri=request.fabric_uri,
        state=MemberState.JOINED,
        fault_domain=str(domain),
        last_update=now,
        incarnation=request.incarnation,
        fabric_contexts=request.fabric_contexts,
        secondary_fabric_uris=request.secondary_fabric_uris,
        secondary_fabric_contexts=request.secondary_fabric_contexts,
    )
    return (PutMember(member), *taken), _result(db, member, None, map_changes=1)


def _ranks_from(first: int) -> Iterator[int]:
    return iter(range(first, NIL_RANK))


def _replace(
    db: SystemDatabase, request: JoinRequest, check: ReplaceCheck | None, now: datetime
) -> tuple[tuple[Change, ...], JoinResult]:
    rank = replaced_rank(db, request)
    if check is None or check.rank != rank:
        # The member that was checked has changed in between: its successor has not been checked.
        raise SystemUnavailableError(STEP_UP_IN_PROGRESS)
    if check.enabled_in:
        raise server_faults.replaced_rank_is_enabled(rank, check.enabled_in)
    old = db.members[db.ranks[rank]]
    if old.state is MemberState.ADMIN_EXCLUDED:
        raise _admin_excluded(old)
    known = db.members.get(request.uuid)
    if known is not None:
        raise ControlError(f"member with uuid {known.uuid} already exists (rank {known.rank})")
    member = replace(old, uuid=request.uuid, state=MemberState.JOINED, info="", last_update=now)
    return (RemoveMember(old.uuid), PutMember(member)), _result(db, member, old, map_changes=2)


def _result(db: SystemDatabase, member: Member, previous: Member | None, *, map_changes: int) -> JoinResult:
    return JoinResult(
        member=member,
        created=previous is None,
        previous_state=None if previous is None else previous.state,
        check_mode=properties.checker_enabled(db),
        map_version=db.map_version + map_changes,
    )


def _check_depth(db: SystemDatabase, domain: FaultDomain) -> None:
    """All members have one depth, so any of them tells it."""
    for member in db.members.values():
        levels = levels_of(member.fault_domain)
        if levels != domain.levels:
            raise system_faults.bad_fault_domain_depth(str(domain), levels)
        return


def _check_known(known: Member, request: JoinRequest) -> None:
    if known.state is MemberState.ADMIN_EXCLUDED:
        raise _admin_excluded(known)
    if request.rank not in (NIL_RANK, known.rank):
        raise _rank_changed(known, request)
    if request.uuid != known.uuid:
        raise JoinFailure(
            f"failed to join system: rank {known.rank} belongs to another engine "
            f"(uuid changed from {known.uuid} -> {request.uuid})"
        )
    if request.address != known.address:
        raise JoinFailure(
            f"failed to join system: member {known.uuid} (rank {known.rank}) has moved "
            f"(control address changed from {known.address} -> {request.address})"
        )
    # An excluded engine has left the group map and everybody's memory; any other would be taken by its peers for
    # the dead one that it was before.
    if request.incarnation < known.incarnation and known.state is not MemberState.EXCLUDED:
        raise JoinFailure(
            f"failed to join system: rank {known.rank} has incarnation {request.incarnation}, older than "
            f"{known.incarnation} which the system knows; if the clock of its host was set back, run "
            "dmg system exclude and dmg system clear-exclude on the rank, and start it again"
        )


def _admin_excluded(member: Member) -> JoinFailure:
    return JoinFailure(
        f"failed to join system: member {member.uuid} (rank {member.rank}) has been administratively excluded"
    )


def _rank_changed(known: Member, request: JoinRequest) -> JoinFailure:
    return JoinFailure(
        f"failed to join system: member {known.uuid} has another rank "
        f"(rank changed from {known.rank} -> {request.rank})"
    )


def _resume_group_updates(db: SystemDatabase, joined: Member) -> tuple[Change, ...]:
    """After a change of provider the group map rests until every rank is back, on the new provider."""
    if not properties.group_update_paused(db):
        return ()
    back = (MemberState.JOINED, MemberState.ADMIN_EXCLUDED)
    others = (m for m in db.members.values() if m.rank != joined.rank)
    if joined.state in back and all(m.state in back for m in others):
        return (SetAttributes({properties.GROUP_UPDATE_PAUSED: ""}),)
    return ()
