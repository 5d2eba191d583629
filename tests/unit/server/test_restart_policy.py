"""Automatic restarts are rare enough, whatever asks for them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from daos_control.server.restarts import RestartPolicy


def test_the_first_restart_is_at_once_and_the_next_one_waits() -> None:
    policy = RestartPolicy(300)
    assert policy.plan(1, now=1000) == 0
    assert policy.plan(1, now=1100) == 200
    assert policy.plan(2, now=1100) == 0


def test_after_the_delay_it_is_at_once_again() -> None:
    policy = RestartPolicy(300)
    policy.plan(1, now=0)
    assert policy.plan(1, now=300) == 0


def test_what_a_person_does_starts_the_count_anew() -> None:
    policy = RestartPolicy(300)
    policy.plan(1, now=0)
    policy.plan(2, now=0)
    policy.forget([1])
    assert policy.plan(1, now=10) == 0
    assert policy.plan(2, now=10) == 290


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=20))
def test_two_restarts_of_a_rank_are_never_closer_than_the_minimum(pauses: list[float]) -> None:
    policy = RestartPolicy(100)
    now, moments = 0.0, []
    for pause in pauses:
        now += pause
        moments.append(now + policy.plan(1, now))
    assert all(later - earlier >= 100 - 1e-6 for earlier, later in itertools.pairwise(moments))
