"""States of a member, and which may follow which.

The numbers are on the wire (`SystemQueryReq.state_mask`) and in stored records: they never change.
"""

from enum import IntEnum, IntFlag


class MemberState(IntEnum):
    """State of one rank as the system sees it; a bit each, so that sets of states are masks."""

    UNKNOWN = 0x0000
    AWAIT_FORMAT = 0x0001
    STARTING = 0x0002
    READY = 0x0004
    JOINED = 0x0008
    STOPPING = 0x0010
    STOPPED = 0x0020
    EXCLUDED = 0x0040
    ERRORED = 0x0080
    UNRESPONSIVE = 0x0100
    ADMIN_EXCLUDED = 0x0200
    CHECKER_STARTED = 0x0400

    @property
    def wire_name(self) -> str:
        """Lower case without separators, as DAOS writes it ("adminexcluded")."""
        return self.name.replace("_", "").lower()

    @classmethod
    def from_wire_name(cls, text: str) -> "MemberState":
        """The state of that name in any case; UNKNOWN where there is none."""
        return _BY_NAME.get(text.lower(), cls.UNKNOWN)


_BY_NAME = {state.wire_name: state for state in MemberState}


class StateMask(IntFlag):
    """Sets of states with a name of their own."""

    AVAILABLE = MemberState.READY | MemberState.JOINED
    NOT_IN_GROUP_MAP = MemberState.AWAIT_FORMAT | MemberState.EXCLUDED | MemberState.ADMIN_EXCLUDED
    ALL = 0xFFFF


_S = MemberState
_EVERYTHING = frozenset(MemberState)

# From each state, what may not follow; everything else may (membership.md 2). A join, an administrator's exclude
# and a replace are explicit acts that do not ask this table.
_ILLEGAL: dict[MemberState, frozenset[MemberState]] = {
    _S.UNKNOWN: _EVERYTHING,
    _S.AWAIT_FORMAT: frozenset({_S.EXCLUDED}),
    _S.STARTING: frozenset({_S.EXCLUDED}),
    _S.READY: frozenset({_S.EXCLUDED}),
    _S.JOINED: frozenset({_S.READY}),
    _S.STOPPING: frozenset(),
    _S.STOPPED: frozenset(),
    _S.EXCLUDED: frozenset({_S.ERRORED, _S.STOPPING, _S.STOPPED, _S.STARTING, _S.READY, _S.UNRESPONSIVE}),
    _S.ERRORED: frozenset({_S.READY, _S.JOINED, _S.STOPPING}),
    _S.UNRESPONSIVE: frozenset({_S.READY, _S.JOINED, _S.STOPPING}),
    _S.ADMIN_EXCLUDED: _EVERYTHING,
    _S.CHECKER_STARTED: frozenset({_S.READY, _S.JOINED}),
}


def may_follow(current: MemberState, following: MemberState) -> bool:
    """Whether a member in `current` may be recorded as `following`."""
    return following is not current and following not in _ILLEGAL[current]
