"""The state table: every pair of a state and an event."""

import itertools

import pytest

from daos_control.server.instance_state import TRANSITIONS, Event, IllegalTransitionError, State, next_state
from daos_control.system.state import MemberState

NUMBERS = {
    "STOPPED": 0, "CHECKING_STORAGE": 1, "AWAIT_FORMAT": 2, "LAUNCHING": 3, "STARTING": 4, "JOINING": 5,
    "SETTING_UP": 6, "READY": 7, "STOPPING": 8,
}  # fmt: skip


def test_the_numbers_of_states_do_not_change() -> None:
    assert {state.name: state.value for state in State} == NUMBERS


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_is_in_the_table_or_refused(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransitionError):
            next_state(state, event)


def test_only_the_end_of_a_process_leads_from_having_one_to_having_none() -> None:
    for (state, event), following in TRANSITIONS.items():
        if state.has_process and not following.has_process:
            assert event is Event.PROCESS_EXITED


def test_a_process_may_end_in_every_state_that_has_one() -> None:
    for state in State:
        if state.has_process:
            assert next_state(state, Event.PROCESS_EXITED) is State.STOPPED


def test_a_stop_may_be_asked_for_in_every_state_but_those_that_are_one() -> None:
    for state in set(State) - {State.STOPPED, State.STOPPING}:
        assert next_state(state, Event.STOP_REQUESTED) in (State.STOPPED, State.STOPPING)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)


@pytest.mark.parametrize(
    ("state", "member"),
    [
        (State.STOPPED, MemberState.STOPPED),
        (State.AWAIT_FORMAT, MemberState.AWAIT_FORMAT),
        (State.STARTING, MemberState.STARTING),
        (State.JOINING, MemberState.STARTING),
        (State.READY, MemberState.READY),
    ],
)
def test_states_in_terms_of_members(state: State, member: MemberState) -> None:
    assert state.member_state is member
    assert all(isinstance(s.member_state, MemberState) for s in State)
