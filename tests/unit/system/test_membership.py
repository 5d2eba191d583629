"""What happens to members after they joined."""

from itertools import product

import pytest

from daos_control.faults import Code, ControlError, Fault
from daos_control.system import events
from daos_control.system.events import RasEvent, RasId, RasType, Severity
from daos_control.system.hosts import HostSet
from daos_control.system.member import Member
from daos_control.system.membership import (
    Effect,
    available_ranks,
    decide_engine_died,
    decide_exclude,
    decide_rank_dead,
    decide_remove,
    decide_states,
    decide_swim_rank_dead,
    hosts_to_resolve,
    query,
    ranks_by_address,
    resolve,
    without_admin_excluded,
)
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult, failed
from daos_control.system.state import MemberState, may_follow
from unit.system.builders import LATER, NOW, database, member

S = MemberState
STATES = [s for s in MemberState if s is not S.UNKNOWN]
name = lambda s: s.name  # noqa: E731


def died(rank: int, incarnation: int = 100) -> RasEvent:
    return events.engine_died("h", 0, rank, incarnation, "signal 9", 4711, now=NOW)


def swim_dead(rank: int, incarnation: int = 100) -> RasEvent:
    return RasEvent(
        RasId.SWIM_RANK_DEAD, RasType.STATE_CHANGE, Severity.NOTICE, "dead", "", rank=rank, incarnation=incarnation
    )


# Results of operations.


@pytest.mark.parametrize("current", STATES, ids=name)
@pytest.mark.parametrize("said", STATES, ids=name)
def test_a_result_is_recorded_where_its_state_may_follow(current: MemberState, said: MemberState) -> None:
    db = database(member(0, current, info="old"))
    result = RankResult(0, "stop", said, message="why")
    decision = decide_states(db, [result], LATER, update_on_failure=True)
    db.apply(decision.changes)
    now = db.member_of_rank(0)
    assert now is not None
    if may_follow(current, said):
        assert (now.state, now.info, now.last_update) == (said, "why", LATER)
    else:
        assert (now.state, now.info, now.last_update) == (current, "old", NOW)
        assert decision.changes == ()
    assert decision.result[0].address == "10.0.0.0:10001"


@pytest.mark.parametrize("current", STATES, ids=name)
@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("unanswered", [False, True])
def test_a_failure_is_recorded_only_if_asked_for(current: MemberState, update: bool, unanswered: bool) -> None:
    said = S.UNRESPONSIVE if unanswered else S.ERRORED
    decision = decide_states(
        database(member(0, current)), [failed(0, "stop", "why", said)], LATER, update_on_failure=update
    )
    assert bool(decision.changes) is (update and may_follow(current, said))


def test_a_failure_in_a_state_of_success_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="conflicting state"):
        decide_states(
            database(member(0)), [RankResult(0, "stop", S.STOPPED, errored=True)], NOW, update_on_failure=True
        )


def test_a_result_of_a_rank_that_is_gone_does_not_spoil_the_others() -> None:
    results = [RankResult(7, "stop", S.STOPPED), RankResult(1, "stop", S.STOPPED, address="1.1.1.1:1")]
    decision = decide_states(database(member(1)), results, NOW, update_on_failure=True)
    assert len(decision.changes) == 1
    assert [r.address for r in decision.result] == ["", "1.1.1.1:1"]


def test_two_results_of_one_rank_are_recorded_one_after_the_other() -> None:
    db = database(member(1))
    results = [RankResult(1, "x", state) for state in (S.STOPPING, S.EXCLUDED, S.STOPPED)]
    decision = decide_states(db, results, NOW, update_on_failure=True)
    db.apply(decision.changes)
    assert [m.state for m in db.members.values()] == [S.EXCLUDED], "stopped may not follow excluded"
    assert len(decision.changes) == 1


def test_an_administrators_exclude_outlives_every_result() -> None:
    db = database(member(0, S.ADMIN_EXCLUDED))
    results = [RankResult(0, "start", state) for state in STATES if state not in (S.ERRORED, S.UNRESPONSIVE)]
    assert decide_states(db, results, NOW, update_on_failure=True).changes == ()


# Deaths.


@pytest.mark.parametrize(("current", "incarnation"), list(product(STATES, [0, 99, 100, 101])))
def test_an_engine_that_died_is_errored_unless_the_event_is_of_an_earlier_run(
    current: MemberState, incarnation: int
) -> None:
    db = database(member(0, current))
    decision = decide_engine_died(db, died(0, incarnation), LATER)
    if incarnation == 99:
        assert decision.result is Effect.OLDER_INCARNATION
    elif may_follow(current, S.ERRORED):
        assert decision.result is Effect.APPLIED
        db.apply(decision.changes)
        now = db.member_of_rank(0)
        assert now is not None
        assert now.state is S.ERRORED
        assert now.info == "DAOS engine 0 exited unexpectedly: signal 9"
        return
    else:
        assert decision.result is Effect.NO_TRANSITION
    assert decision.changes == ()


@pytest.mark.parametrize(("current", "incarnation"), list(product(STATES, [0, 99, 100, 101])))
def test_a_dead_rank_is_excluded_unless_it_has_started_again(current: MemberState, incarnation: int) -> None:
    db = database(member(0, current, info="kept"))
    decision = decide_rank_dead(db, 0, incarnation, LATER)
    if incarnation == 99:
        assert decision.result is Effect.OLDER_INCARNATION
    elif may_follow(current, S.EXCLUDED):
        assert decision.result is Effect.APPLIED
        db.apply(decision.changes)
        now = db.member_of_rank(0)
        assert now is not None
        assert (now.state, now.info) == (S.EXCLUDED, "kept")
        return
    else:
        assert decision.result is Effect.NO_TRANSITION
    assert decision.changes == ()


def test_events_about_nobody_do_nothing() -> None:
    db = database(member(0))
    assert decide_engine_died(db, died(5), NOW).result is Effect.UNKNOWN_RANK
    assert decide_rank_dead(db, 5, 0, NOW).result is Effect.UNKNOWN_RANK
    assert decide_engine_died(db, swim_dead(0), NOW).result is Effect.MALFORMED


@pytest.mark.parametrize(
    ("policy", "excluded"),
    [("exclude", True), ("exclude;pool_rebuild", True), ("pool_exclude;pool_rebuild", False), ("none", False)],
)
def test_peers_exclude_a_dead_rank_only_where_the_system_heals_itself_so(policy: str, excluded: bool) -> None:
    db = database(member(0), **{"prop.self_heal": policy})
    decision = decide_swim_rank_dead(db, swim_dead(0), NOW)
    assert decision.result is (Effect.APPLIED if excluded else Effect.NOT_WANTED)
    assert bool(decision.changes) is excluded


# Exclusion by an administrator.


@pytest.mark.parametrize("current", STATES, ids=name)
def test_an_administrator_may_exclude_a_rank_in_any_state(current: MemberState) -> None:
    db = database(member(0, current, info="x"), member(1))
    decision = decide_exclude(db, RankSet([0]), LATER, clear=False)
    db.apply(decision.changes)
    assert decision.result == (
        RankResult(0, "set admin-excluded state", S.ADMIN_EXCLUDED, address="10.0.0.0:10001"),
    )
    assert [m.state for m in db.members_by_rank()] == [S.ADMIN_EXCLUDED, S.JOINED]
    assert bool(decision.changes) is (current is not S.ADMIN_EXCLUDED)


@pytest.mark.parametrize("current", STATES, ids=name)
def test_clearing_affects_only_what_an_administrator_excluded(current: MemberState) -> None:
    db = database(member(0, current))
    decision = decide_exclude(db, RankSet([0]), LATER, clear=True)
    db.apply(decision.changes)
    expected = S.EXCLUDED if current is S.ADMIN_EXCLUDED else current
    assert [m.state for m in db.members.values()] == [expected]
    assert decision.result[0].state is expected
    assert decision.result[0].action == "clear admin-excluded state"


def test_excluding_a_rank_that_is_no_member_excludes_none() -> None:
    with pytest.raises(ControlError, match=r"invalid rank\(s\): 9"):
        decide_exclude(database(member(0)), RankSet([0, 9]), NOW, clear=False)


def test_removing_forgets_members_and_passes_over_others() -> None:
    db = database(member(0), member(1))
    db.apply(decide_remove(db, RankSet([1, 9])).changes)
    assert sorted(db.ranks) == [0]
    db.check_invariants()


# Which members a request means.


def on_host(rank: int, address: str, **changes: object) -> Member:
    return member(rank, address=address, **changes)


DB = database(
    on_host(0, "10.0.0.1:10001"),
    on_host(1, "10.0.0.1:10001"),
    on_host(2, "10.0.0.2:10001"),
    on_host(5, "10.0.0.3:99"),
)


@pytest.mark.parametrize(
    ("ranks", "hosts", "found", "absent_ranks", "absent_hosts"),
    [
        ("", "", "0-2,5", "", ""),
        ("0-1", "", "0-1", "", ""),
        ("0,3-6", "", "0,5", "3-4,6", ""),
        ("", "a", "0-1", "", ""),
        ("", "a:10001,b", "0-2", "", ""),
        ("", "c", "", "", "c"),
        ("", "c:99,unknown,gone[1-2]", "5", "", "gone[1-2],unknown"),
    ],
)
def test_ranks_and_hosts_are_resolved(
    ranks: str, hosts: str, found: str, absent_ranks: str, absent_hosts: str
) -> None:
    names = {
        "a:10001": "10.0.0.1:10001",
        "b:10001": "10.0.0.2:10001",
        "c:10001": "10.0.0.3:10001",
        "c:99": "10.0.0.3:99",
        "unknown:10001": "9.9.9.9:10001",
    }
    addresses = {host: names.get(host) for host in hosts_to_resolve(hosts)}
    resolved = resolve(DB, ranks, hosts, addresses)
    assert (str(resolved.ranks), str(resolved.absent_ranks), str(resolved.absent_hosts)) == (
        found,
        absent_ranks,
        absent_hosts,
    )


def test_ranks_and_hosts_together_are_refused() -> None:
    with pytest.raises(ControlError, match="cannot both be set"):
        resolve(DB, "0", "a", {})


def test_hosts_are_looked_up_at_the_default_port_unless_they_have_one() -> None:
    assert hosts_to_resolve("n[1-2],x:99") == ("n1:10001", "n2:10001", "x:99")
    assert hosts_to_resolve("") == ()


@pytest.mark.parametrize(
    ("ranks", "hosts", "words"),
    [("0,9", "", r"invalid rank\(s\): 9"), ("", "zz", r"invalid host\(s\): zz"), ("0", "", None)],
)
def test_some_operations_need_all_their_targets(ranks: str, hosts: str, words: str | None) -> None:
    resolved = resolve(DB, ranks, hosts, {})
    if words is None:
        resolved.require_all()
    else:
        with pytest.raises(ControlError, match=words):
            resolved.require_all()


def test_an_empty_system_has_nothing_to_operate_on() -> None:
    with pytest.raises(ControlError, match="no ranks"):
        resolve(database(), "", "", {}).require_all()


EXCLUDED = database(member(0), member(1, S.ADMIN_EXCLUDED), member(2, S.EXCLUDED))


@pytest.mark.parametrize(
    ("ranks", "explicit", "ignore", "kept"),
    [
        ([0, 1, 2], False, False, [0, 2]),
        ([0, 1], True, True, [0]),
        ([0, 2], True, False, [0, 2]),
        ([], True, False, []),
    ],
)
def test_excluded_ranks_are_passed_over(ranks: list[int], explicit: bool, ignore: bool, kept: list[int]) -> None:
    found = without_admin_excluded(EXCLUDED, RankSet(ranks), explicit=explicit, ignore=ignore)
    assert list(found) == kept


def test_naming_an_excluded_rank_is_fault_622() -> None:
    with pytest.raises(Fault) as caught:
        without_admin_excluded(EXCLUDED, RankSet([0, 1]), explicit=True, ignore=False)
    assert caught.value.code == Code.SERVER_RANK_ADMIN_EXCLUDED
    assert "rank 1 is" in caught.value.description


def test_it_is_an_error_when_only_excluded_ranks_are_meant() -> None:
    with pytest.raises(ControlError, match="all requested ranks"):
        without_admin_excluded(EXCLUDED, RankSet([1]), explicit=False, ignore=False)


def test_ranks_are_found_by_host() -> None:
    assert ranks_by_address(DB, RankSet([0, 1, 5, 77])) == {
        "10.0.0.1:10001": RankSet([0, 1]),
        "10.0.0.3:99": RankSet([5]),
    }
    assert not HostSet(ranks_by_address(DB, RankSet()))


@pytest.mark.parametrize(
    ("mask", "ranks"), [(0, [0, 1, 2]), (0xFFFF, [0, 1, 2]), (8, [0]), (0x240, [1, 2]), (4, [])]
)
def test_a_query_filters_by_state(mask: int, ranks: list[int]) -> None:
    assert [m.rank for m in query(EXCLUDED, RankSet([0, 1, 2, 9]), mask)] == ranks


def test_only_ready_and_joined_ranks_are_available() -> None:
    db = database(*(member(number, state) for number, state in enumerate(STATES)))
    assert [db.members[db.ranks[r]].state for r in available_ranks(db)] == [S.READY, S.JOINED]
