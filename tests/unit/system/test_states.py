"""The state table of members, over every pair."""

import pytest

from daos_control.system.state import MemberState, StateMask, may_follow
from unit.system import states_doc

S = MemberState
LEGAL = {
    # Spelled out the other way round than in the code: what may follow, state by state.
    S.UNKNOWN: "",
    S.AWAIT_FORMAT: "starting ready joined stopping stopped errored unresponsive adminexcluded "
    "checkerstarted unknown",
    S.STARTING: "awaitformat ready joined stopping stopped errored unresponsive adminexcluded "
    "checkerstarted unknown",
    S.READY: "awaitformat starting joined stopping stopped errored unresponsive adminexcluded "
    "checkerstarted unknown",
    S.JOINED: "awaitformat starting stopping stopped excluded errored unresponsive adminexcluded checkerstarted "
    "unknown",
    S.STOPPING: "awaitformat starting ready joined stopped excluded errored unresponsive adminexcluded "
    "checkerstarted unknown",
    S.STOPPED: "awaitformat starting ready joined stopping excluded errored unresponsive adminexcluded "
    "checkerstarted unknown",
    S.EXCLUDED: "awaitformat joined adminexcluded checkerstarted unknown",
    S.ERRORED: "awaitformat starting stopped excluded unresponsive adminexcluded checkerstarted unknown",
    S.UNRESPONSIVE: "awaitformat starting stopped excluded errored adminexcluded checkerstarted unknown",
    S.ADMIN_EXCLUDED: "",
    S.CHECKER_STARTED: "awaitformat starting stopping stopped excluded errored unresponsive adminexcluded unknown",
}


@pytest.mark.parametrize("current", list(MemberState), ids=lambda s: s.name)
@pytest.mark.parametrize("following", list(MemberState), ids=lambda s: s.name)
def test_exactly_the_legal_states_may_follow(current: MemberState, following: MemberState) -> None:
    assert may_follow(current, following) == (following.wire_name in LEGAL[current].split())


def test_the_numbers_are_those_on_the_wire() -> None:
    assert {s.wire_name: s.value for s in MemberState} == {
        "unknown": 0,
        "awaitformat": 1,
        "starting": 2,
        "ready": 4,
        "joined": 8,
        "stopping": 16,
        "stopped": 32,
        "excluded": 64,
        "errored": 128,
        "unresponsive": 256,
        "adminexcluded": 512,
        "checkerstarted": 1024,
    }
    assert StateMask.NOT_IN_GROUP_MAP == 0x241
    assert StateMask.AVAILABLE == 0x0C


@pytest.mark.parametrize("state", list(MemberState), ids=lambda s: s.name)
def test_a_state_is_found_by_its_name_in_any_case(state: MemberState) -> None:
    assert MemberState.from_wire_name(state.wire_name) is state
    assert MemberState.from_wire_name(state.wire_name.title()) is state


def test_a_name_that_is_none_is_unknown() -> None:
    assert MemberState.from_wire_name("dancing") is MemberState.UNKNOWN


def test_the_documented_states_are_those_of_the_code() -> None:
    assert states_doc.DOC.read_text() == states_doc.render(), f"run python {states_doc.__file__}"
