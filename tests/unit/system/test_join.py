"""Joining: who is admitted, under which rank, and who is refused with which words."""

from dataclasses import replace

import pytest

from daos_control.faults import Code, ControlError, Fault, SystemUnavailableError
from daos_control.system.changes import PutMember, RemoveMember, SetAttributes
from daos_control.system.database import SystemDatabase
from daos_control.system.join import (
    JoinFailure,
    JoinRequest,
    JoinResult,
    ReplaceCheck,
    decide_join,
    refusal_event,
    replaced_rank,
)
from daos_control.system.member import MAX_RANK, NIL_RANK
from daos_control.system.properties import CHECKER_ENABLED, DOMAIN_LABELS, GROUP_UPDATE_PAUSED
from daos_control.system.state import MemberState
from unit.system.builders import LATER, NOW, PROVIDER, database, member, rejoin, unlisted, uuid

S = MemberState


def join(db: SystemDatabase, request: JoinRequest, check: ReplaceCheck | None = None) -> JoinResult:
    """Decide, apply, and check that the invariants hold."""
    decision = decide_join(db, request, LATER, replace_check=check)
    db.apply(decision.changes)
    db.check_invariants()
    assert db.members[decision.result.member.uuid] == decision.result.member
    assert decision.result.map_version == db.map_version
    return decision.result


def refused(db: SystemDatabase, request: JoinRequest, **more: object) -> Exception:
    with pytest.raises((Fault, ControlError)) as caught:
        decide_join(db, request, LATER, **more)  # type: ignore[arg-type]
    return caught.value


# New members and their ranks.


def test_the_first_engine_of_the_first_replica_takes_the_rank_zero_that_it_asks_for() -> None:
    db = database()
    result = join(db, unlisted(1, rank=0))
    assert result.member.rank == 0
    assert result.created
    assert result.previous_state is None
    assert result.member.state is S.JOINED
    assert result.member.last_update == LATER
    assert db.next_rank == 1


def test_ranks_are_handed_out_from_one_upwards() -> None:
    db = database()
    assert [join(db, unlisted(n)).member.rank for n in range(4)] == [1, 2, 3, 4]
    assert db.next_rank == 5


def test_a_rank_that_somebody_asked_for_by_name_is_passed_over() -> None:
    db = database()
    join(db, unlisted(1, rank=1))
    join(db, unlisted(2, rank=2))
    assert join(db, unlisted(3)).member.rank == 3


def test_a_rank_of_a_removed_member_is_not_given_again() -> None:
    db = database()
    first = join(db, unlisted(1)).member
    db.apply([RemoveMember(first.uuid)])
    assert join(db, unlisted(2)).member.rank == first.rank + 1


def test_there_is_an_end_of_ranks() -> None:
    db = database()
    db.next_rank = MAX_RANK
    assert "no rank is left" in str(refused(db, unlisted(1)))


def test_an_unlisted_engine_is_joined_even_in_check_mode() -> None:
    assert join(database(), unlisted(1, check_mode=True)).member.state is S.JOINED


def test_everything_the_engine_says_is_recorded() -> None:
    request = unlisted(
        1,
        incarnation=(1 << 64) - 1,
        fabric_contexts=9,
        secondary_fabric_uris=("ofi+verbs://x",),
        secondary_fabric_contexts=(4,),
        fault_domain="/HOST",
        uuid=uuid(1).upper(),
    )
    made = join(database(), request).member
    assert (made.uuid, made.fault_domain, made.incarnation) == (uuid(1), "/host", (1 << 64) - 1)
    assert (made.fabric_contexts, made.secondary_fabric_uris, made.secondary_fabric_contexts) == (
        9,
        ("ofi+verbs://x",),
        (4,),
    )


# Members that come back.


@pytest.mark.parametrize("state", [s for s in MemberState if s not in (S.UNKNOWN, S.ADMIN_EXCLUDED)])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_member_rejoins_out_of_every_state(state: MemberState, check_mode: bool) -> None:
    known = member(0, state, info="why")
    result = join(database(known), rejoin(known, check_mode=check_mode, fabric_uri=f"{PROVIDER}://new"))
    assert not result.created
    assert result.previous_state is state
    assert result.member.state is (S.CHECKER_STARTED if check_mode else S.JOINED)
    assert result.member.info == ""
    assert result.member.fabric_uri == f"{PROVIDER}://new"
    assert result.member.incarnation == known.incarnation + 1


def test_an_engine_that_lost_the_answer_gets_its_old_rank_by_its_uuid() -> None:
    known = member(3)
    assert join(database(known), rejoin(known, rank=NIL_RANK)).member.rank == 3


def test_the_same_join_twice_ends_in_the_same_member() -> None:
    db = database()
    first = join(db, unlisted(1)).member
    again = join(db, unlisted(1)).member
    assert again == first


def test_a_member_may_move_to_another_domain_of_the_same_depth() -> None:
    known, other = member(0), member(1)
    assert (
        join(database(known, other), rejoin(known, fault_domain="/elsewhere")).member.fault_domain == "/elsewhere"
    )


@pytest.mark.parametrize("enabled", [False, True])
def test_the_answer_says_check_while_the_checker_is_enabled(enabled: bool) -> None:
    db = database(member(0))
    if enabled:
        db.apply([SetAttributes({CHECKER_ENABLED: "true"})])
    assert join(db, rejoin(member(0))).check_mode is enabled


# Refusals, each with its words and, where a person must look, its event.


@pytest.mark.parametrize(
    ("state", "changes", "words"),
    [
        (S.JOINED, {"uuid": uuid(77)}, "uuid changed"),
        (S.JOINED, {"address": "10.9.9.9:10001"}, "control address changed"),
        (S.JOINED, {"address": "10.0.0.0:10002"}, "control address changed"),
        (S.JOINED, {"rank": 5}, "rank changed"),
        (S.ADMIN_EXCLUDED, {}, "has been administratively excluded"),
        (S.ADMIN_EXCLUDED, {"rank": NIL_RANK}, "has been administratively excluded"),
        (S.JOINED, {"fabric_uri": "ofi+verbs://10.0.0.0:1"}, "does not match system provider"),
        (S.JOINED, {"incarnation": 99}, "incarnation 99, older than 100"),
        (S.STOPPED, {"incarnation": 99}, "older than"),
    ],
)
def test_a_refusal_that_a_person_must_hear_of_has_an_event(
    state: MemberState, changes: dict[str, object], words: str
) -> None:
    known = member(0, state)
    request = rejoin(known, **changes)
    error = refused(database(known), request)
    assert isinstance(error, JoinFailure)
    assert words in str(error)
    event = refusal_event(request, error, NOW, "leader")
    assert event is not None
    assert event.name == "engine_join_failed"
    assert event.rank == request.rank
    assert event.incarnation == request.incarnation
    assert event.hostname == "leader"
    assert event.detail == f"{request.address}: {error}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uuid": "not-a-uuid"}, "invalid uuid"),
        ({"fault_domain": ""}, "no fault domain"),
        ({"fault_domain": "/"}, "no fault domain"),
        ({"fabric_uri": ""}, "no primary fabric URI"),
        ({"fabric_uri": "10.0.0.0"}, "unable to parse fabric provider"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_without_an_event(changes: dict[str, object], words: str) -> None:
    request = unlisted(1, **changes)
    error = refused(database(), request)
    assert words in str(error)
    assert refusal_event(request, error, NOW, "leader") is None


def test_an_invalid_fault_domain_is_fault_717() -> None:
    error = refused(database(), unlisted(1, fault_domain="rack"))
    assert isinstance(error, Fault)
    assert error.code == Code.SERVER_CONFIG_FAULT_DOMAIN_INVALID


def test_before_the_leader_has_recorded_a_provider_the_join_is_to_be_tried_again() -> None:
    error = refused(SystemDatabase(), unlisted(1))
    assert isinstance(error, SystemUnavailableError)
    assert "leader step-up in progress" in str(error)


def test_the_first_of_several_providers_is_the_one_that_counts() -> None:
    db = database(provider="ofi+tcp,ofi+verbs")
    assert join(db, unlisted(1)).created


def test_an_excluded_engine_may_come_back_with_an_older_incarnation() -> None:
    known = member(0, S.EXCLUDED)
    assert join(database(known), rejoin(known, incarnation=5)).member.incarnation == 5


@pytest.mark.parametrize(
    ("domains", "joining", "depth"),
    [(["/a"], "/r/b", 1), (["/r/a"], "/b", 2), (["/r/a", "/r/b"], "/c/d/e", 2)],
)
def test_a_domain_of_another_depth_is_fault_401(domains: list[str], joining: str, depth: int) -> None:
    db = database(*(member(rank, fault_domain=path) for rank, path in enumerate(domains)))
    error = refused(db, unlisted(1, fault_domain=joining))
    assert isinstance(error, Fault)
    assert error.code == Code.SYSTEM_BAD_FAULT_DOMAIN_DEPTH
    assert f"{depth} level" in error.description


def test_only_a_member_that_is_alone_may_change_the_depth() -> None:
    alone, other = member(0), member(1)
    assert join(database(alone), rejoin(alone, fault_domain="/r/h")).member.fault_domain == "/r/h"
    error = refused(database(alone, other), rejoin(alone, fault_domain="/r/h"))
    assert isinstance(error, Fault)
    assert error.code == Code.SYSTEM_BAD_FAULT_DOMAIN_DEPTH


@pytest.mark.parametrize(
    ("first", "second", "admitted"),
    [
        ("/rack=a/host=b", "/rack=c/host=d", True),
        ("/rack=a/host=b", "/row=c/host=d", False),
        ("/rack=a/host=b", "/c/d", False),
        ("/a/b", "/rack=c/host=d", False),
        ("/a", "/host=b", False),
        ("/host=a", "/b", False),
        ("/a", "/b", True),
        ("/a/b", "/c/d", True),
    ],
)
def test_labels_are_those_of_the_first_member(first: str, second: str, admitted: bool) -> None:
    db = database()
    join(db, unlisted(1, fault_domain=first))
    if admitted:
        assert join(db, unlisted(2, fault_domain=second)).created
    else:
        error = refused(db, unlisted(2, fault_domain=second))
        assert isinstance(error, Fault)
        assert error.code == Code.SERVER_BAD_FAULT_DOMAIN_LABELS


def test_labels_are_recorded_as_daos_records_them() -> None:
    for path, recorded in (("/rack=a/host=b", "rack=host"), ("/a/b/c", "=="), ("/a", None)):
        db = database()
        join(db, unlisted(1, fault_domain=path))
        assert db.attributes.get(DOMAIN_LABELS) == recorded


def test_a_refused_join_changes_nothing() -> None:
    db = database()
    version = db.version
    refused(db, unlisted(1, fault_domain="/l=a", fabric_uri="other://x"))
    assert db.version == version


# Paused group updates.


@pytest.mark.parametrize(
    ("others", "resumed"),
    [
        ([], True),
        ([S.JOINED, S.ADMIN_EXCLUDED], True),
        ([S.JOINED, S.STOPPED], False),
        ([S.EXCLUDED], False),
    ],
)
def test_group_updates_resume_with_the_last_rank_that_is_back(others: list[MemberState], resumed: bool) -> None:
    known = member(0, S.STOPPED)
    db = database(known, *(member(rank, state) for rank, state in enumerate(others, start=1)))
    db.apply([SetAttributes({GROUP_UPDATE_PAUSED: "true"})])
    join(db, rejoin(known))
    assert (GROUP_UPDATE_PAUSED not in db.attributes) is resumed


# Replacing a rank.


def replacement(known_rank: int, number: int = 99, **changes: object) -> JoinRequest:
    return rejoin(member(known_rank), uuid=uuid(number), rank=NIL_RANK, replace=True, **changes)


@pytest.mark.parametrize("state", [s for s in MemberState if s not in (S.UNKNOWN, S.ADMIN_EXCLUDED)])
def test_a_replacement_takes_the_rank_and_keeps_the_recorded_incarnation(state: MemberState) -> None:
    old = member(1, state, info="gone")
    db = database(member(0), old)
    result = join(db, replacement(1, incarnation=7_000), ReplaceCheck(1, ()))
    assert result.member == replace(old, uuid=uuid(99), state=S.JOINED, info="", last_update=LATER)
    assert result.previous_state is state
    assert not result.created
    assert old.uuid not in db.members
    assert db.next_rank == 1


@pytest.mark.parametrize(
    ("changes", "resolution"),
    [
        ({"address": "10.9.9.9:1"}, "--replace only"),
        ({"fabric_uri": f"{PROVIDER}://other"}, "--replace only"),
        ({"fabric_contexts": 77}, "--replace only"),
        ({"secondary_fabric_uris": ("x",)}, "--replace only"),
        ({"secondary_fabric_contexts": (1,)}, "--replace only"),
        ({"fault_domain": "/else"}, "--replace only"),
        ({"fault_domain": "/else", "fabric_contexts": 77}, "without --replace"),
    ],
)
def test_where_no_member_matches_it_is_fault_403(changes: dict[str, object], resolution: str) -> None:
    error = refused(database(member(0), member(1)), replacement(1, **changes), replace_check=ReplaceCheck(1, ()))
    assert isinstance(error, Fault)
    assert error.code == Code.SYSTEM_JOIN_REPLACE_RANK_NOT_FOUND
    assert resolution in error.resolution


def test_the_rank_to_replace_is_known_before_pools_are_asked() -> None:
    assert replaced_rank(database(member(0), member(1)), replacement(1)) == 1


def test_a_rank_that_a_pool_still_uses_is_fault_621() -> None:
    error = refused(database(member(1)), replacement(1), replace_check=ReplaceCheck(1, ("tank", "data")))
    assert isinstance(error, Fault)
    assert error.code == Code.SERVER_JOIN_REPLACE_ENABLED_POOL_RANK
    assert "tank, data" in error.description


@pytest.mark.parametrize("check", [None, ReplaceCheck(0, ())])
def test_a_rank_that_was_not_checked_is_not_replaced(check: ReplaceCheck | None) -> None:
    error = refused(database(member(0), member(1)), replacement(1), replace_check=check)
    assert isinstance(error, SystemUnavailableError)


def test_an_administrator_excluded_rank_is_not_replaced() -> None:
    error = refused(database(member(1, S.ADMIN_EXCLUDED)), replacement(1), replace_check=ReplaceCheck(1, ()))
    assert isinstance(error, JoinFailure)
    assert "administratively excluded" in str(error)


@pytest.mark.parametrize(
    ("records", "changes", "words"),
    [
        ([member(1)], {"rank": 1}, "cannot have a rank"),
        ([], {}, "has no members"),
        ([member(1)], {"uuid": member(1).uuid}, "already exists"),
        ([member(1), member(2)], {"uuid": member(2).uuid}, "already exists"),
    ],
)
def test_replacements_that_make_no_sense(records: list, changes: dict[str, object], words: str) -> None:
    error = refused(database(*records), replace(replacement(1), **changes), replace_check=ReplaceCheck(1, ()))
    assert words in str(error)


def test_a_join_is_one_put_of_one_member() -> None:
    """Two thousand joins are two thousand rows, whatever the size of the system."""
    known = member(0)
    decision = decide_join(database(known, member(1), member(2)), rejoin(known), LATER)
    assert decision.changes == (PutMember(decision.result.member),)
