"""The retry rules: a table, and what each error is in it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.client import retry
from daos_control.client.retry import Action, NoResponseError, Outcome, Policy
from daos_control.faults import (
    Code,
    ControlError,
    DaosError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    RemoteError,
    Status,
    SystemUnavailableError,
    SystemUninitializedError,
    UnimplementedError,
)
from daos_control.faults import client as client_faults
from daos_control.faults.core import EMPTY_GROUP_MAP, RAFT_UNAVAILABLE, STEP_UP_IN_PROGRESS, UNINITIALIZED

REFUSED = client_faults.connection_refused("a:1")
CLOSED = client_faults.connection_closed("a:1")
SLOW_CONNECT = client_faults.connection_timed_out("a:1")
NO_ROUTE = client_faults.connection_no_route("a:1")
TIMED_OUT = client_faults.rpc_timeout("Join", 10)
NO_ENGINE = Fault("server", Code.SERVER_DATA_PLANE_NOT_STARTED, "d", "r")
LOCKED = Fault("system", Code.SYSTEM_POOL_LOCKED, "d", "r")
UNAVAILABLE = SystemUnavailableError(RAFT_UNAVAILABLE)
UNAVAILABLE_TEXT = RemoteError("Unknown", f"failed to do it: {STEP_UP_IN_PROGRESS}")
UNINIT_TEXT = RemoteError("Unknown", UNINITIALIZED)
EMPTY_MAP = RemoteError("Unknown", EMPTY_GROUP_MAP)
LEADER_KNOWN = NotLeaderError("b:1", ("b:1", "c:1"))
LEADER_UNKNOWN = NotLeaderError("", ("b:1", "c:1"))
NOT_REPLICA = NotReplicaError(("b:1", "c:1"))
TEXT = ControlError("rank 5 does not exist")

O = Outcome  # noqa: E741
ROWS = [
    # error, and what it is to: every request, a pool request, a query that is not to wait
    (None, *[O.SUCCESS] * 3),
    (LEADER_KNOWN, *[O.NOT_LEADER_KNOWS_LEADER] * 2, O.GIVE_UP),
    (LEADER_UNKNOWN, *[O.NOT_LEADER] * 2, O.GIVE_UP),
    (NOT_REPLICA, *[O.NOT_REPLICA] * 2, O.GIVE_UP),
    (TIMED_OUT, *[O.TRY_TIMED_OUT] * 3),
    (SLOW_CONNECT, *[O.TRY_TIMED_OUT] * 2, O.GIVE_UP),
    (UnimplementedError("no such method"), *[O.UNIMPLEMENTED] * 3),
    (UNAVAILABLE, O.UNAVAILABLE, O.UNAVAILABLE, O.GIVE_UP),
    (UNAVAILABLE_TEXT, O.UNAVAILABLE, O.UNAVAILABLE, O.GIVE_UP),
    (NO_ENGINE, O.UNAVAILABLE, O.REQUEST_RETRIES, O.GIVE_UP),
    (LOCKED, O.FAILED, O.REQUEST_RETRIES, O.FAILED),
    (REFUSED, O.FAILED, O.FAILED, O.GIVE_UP),
    (CLOSED, O.FAILED, O.FAILED, O.GIVE_UP),
    (NO_ROUTE, *[O.FAILED] * 3),
    (UNINIT_TEXT, O.FAILED, O.FAILED, O.FAILED),
    (SystemUninitializedError(), O.FAILED, O.FAILED, O.FAILED),
    (NoResponseError(), O.FAILED, O.FAILED, O.FAILED),
    (EMPTY_MAP, *[O.FAILED] * 3),
    (TEXT, *[O.FAILED] * 3),
    (DaosError(Status.NOSPACE), *[O.FAILED] * 3),
    *[
        (DaosError(status), O.FAILED, O.REQUEST_RETRIES, O.FAILED)
        for status in (-1011, -1036, -1013, -1019, -1006, -1032)
    ],
]
POLICIES = (retry.DEFAULT, retry.POOL, retry.QUERY_OR_FAIL)


@pytest.mark.parametrize("row", ROWS, ids=[str(row[0])[:60] for row in ROWS])
def test_each_error_has_its_outcome_for_each_kind_of_request(row) -> None:
    error, *expected = row
    assert [retry.classify(error, policy) for policy in POLICIES] == expected


def test_every_outcome_has_an_action() -> None:
    assert set(retry.TABLE) == set(Outcome)


@pytest.mark.parametrize(
    ("error", "policy", "action", "hosts"),
    [
        (None, retry.DEFAULT, Action.RETURN, ()),
        (LEADER_KNOWN, retry.DEFAULT, Action.ASK_LEADER, ("b:1",)),
        (LEADER_UNKNOWN, retry.DEFAULT, Action.ASK_REPLICAS, ("b:1", "c:1")),
        (NotLeaderError("", ()), retry.DEFAULT, Action.ASK_REPLICAS, ("now:1",)),
        (NOT_REPLICA, retry.DEFAULT, Action.ASK_REPLICAS, ("b:1", "c:1")),
        (NotReplicaError(("b:1", "b:1")), retry.DEFAULT, Action.ASK_REPLICAS, ("b:1",)),
        (TIMED_OUT, retry.DEFAULT, Action.ASK_AGAIN, ("now:1",)),
        (UNAVAILABLE, retry.DEFAULT, Action.ASK_AGAIN, ("now:1",)),
        (LOCKED, retry.POOL, Action.START_OVER, ("first:1", "second:1")),
        (REFUSED, retry.DEFAULT, Action.RAISE, ()),
        (UNAVAILABLE, retry.ERASE, Action.RAISE_UNAVAILABLE, ()),
        (EMPTY_MAP, retry.ATTACH_INFO, Action.START_OVER, ("first:1", "second:1")),
    ],
)
def test_hosts_that_are_asked_next(error, policy, action, hosts) -> None:
    decision = retry.decide(error, policy, current=["now:1"], start=["first:1", "second:1"])
    assert (decision.action, decision.hosts) == (action, hosts)


def test_waits_double_from_a_quarter_of_a_second_to_eight() -> None:
    waits = [retry.backoff_seconds(tries, lambda _: 0) for tries in range(10)]
    assert waits == [0, 0.25, 0.25, 0.5, 1, 2, 4, 8, 8, 8]


@given(st.integers(min_value=1, max_value=10**6), st.randoms(use_true_random=False))
def test_wait_is_bounded_whatever_is_drawn(tries: int, source: random.Random) -> None:
    assert 0.25 <= retry.backoff_seconds(tries, source.randrange) <= 11


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g", ""]), max_size=30))
def test_candidates_are_at_most_five_different_hosts(hosts: list[str]) -> None:
    chosen = retry.candidates(hosts, random.Random(1).sample)
    assert len(chosen) == len(set(chosen)) == min(5, len({h for h in hosts if h}))
    assert set(chosen) <= set(hosts)


def test_error_of_the_host_that_knows_most_counts() -> None:
    ordered = [DaosError(-1007), LEADER_KNOWN, LEADER_UNKNOWN, NOT_REPLICA, UNAVAILABLE, REFUSED, TIMED_OUT]
    ranks = [retry.telling(error) for error in ordered]
    assert ranks == sorted(ranks)
    assert retry.telling(UNINIT_TEXT) == retry.telling(UNAVAILABLE)
    assert retry.telling(SLOW_CONNECT) == retry.telling(TIMED_OUT)


def test_giving_up_comes_before_every_other_rule() -> None:
    policy = Policy(retries=lambda _: True, gives_up=lambda _: True)
    for error, *_ in ROWS[1:]:
        assert retry.classify(error, policy) is Outcome.GIVE_UP
