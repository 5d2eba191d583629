"""Writes docs/states.md out of the state table. Run it after a change of the table:

.venv/bin/python tests/unit/system/states_doc.py
"""

from pathlib import Path

from daos_control.system.state import MemberState, StateMask, may_follow

DOC = Path(__file__).parents[3] / "docs" / "states.md"

MEANINGS = {
    MemberState.UNKNOWN: "not a state of a member; a text that names none",
    MemberState.AWAIT_FORMAT: "its server waits for its storage to be formatted",
    MemberState.STARTING: "its engine is starting",
    MemberState.READY: "its engine runs and is set up (a server says so of its own ranks; the system says joined)",
    MemberState.JOINED: "a working member of the system",
    MemberState.STOPPING: "its engine has prepared for shutdown",
    MemberState.STOPPED: "its engine was stopped",
    MemberState.EXCLUDED: "its peers called it dead; it leaves the group map until it joins again",
    MemberState.ERRORED: "its engine ended unexpectedly, or an operation on it failed",
    MemberState.UNRESPONSIVE: "its server did not answer",
    MemberState.ADMIN_EXCLUDED: "an administrator excluded it; it may not join",
    MemberState.CHECKER_STARTED: "its engine runs in checker mode",
}

HEAD = """\
# States of a member

This file is made by `tests/unit/system/states_doc.py` out of `src/daos_control/system/state.py`; a test fails
when it is out of date.

A member is one engine, one rank. The numbers are on the wire and in the stored database and never change.

| State | Number | In the group map | Takes pools | Meaning |
|---|---|---|---|---|
"""

TRANSITIONS = """
## What may follow

Results of operations, and events, change a state only where the table has a `+`. Rows are the present state.
Three acts do not ask the table, because somebody wants them: a join (to joined, or to checkerstarted), an
administrator's exclude and clear-exclude, and a replace.

"""


def yes(holds: bool) -> str:
    return "yes" if holds else "no"


def render() -> str:
    real = [state for state in MemberState if state is not MemberState.UNKNOWN]
    states = "".join(
        f"| {state.wire_name} | 0x{state:04x} | {yes(not state & StateMask.NOT_IN_GROUP_MAP)} "
        f"| {yes(bool(state & StateMask.AVAILABLE))} | {MEANINGS[state]} |\n"
        for state in real
    )
    header = "| from \\ to | " + " | ".join(state.wire_name for state in real) + " |\n"
    rule = "|---" * (len(real) + 1) + "|\n"
    rows = "".join(
        f"| {state.wire_name} | " + " | ".join("+" if may_follow(state, to) else " " for to in real) + " |\n"
        for state in real
    )
    return HEAD + states + TRANSITIONS + header + rule + rows


if __name__ == "__main__":
    DOC.write_text(render())
