"""A member: one engine of the system, as the management service records it."""

from dataclasses import dataclass, replace
from datetime import datetime

from daos_control.system.state import MemberState, StateMask

NIL_RANK = 0xFFFFFFFF
MAX_RANK = NIL_RANK - 1


@dataclass(frozen=True, slots=True)
class Member:
    """One engine; `uuid` is that of its superblock and `rank` its number, one to one.

    `address` is the control address "ip:port" of its server, `fault_domain` a path as "/rack0/host1",
    `incarnation` the engine's own start stamp (grows with each start), `info` why it is in its state.
    `last_update` is an aware UTC time.
    """

    rank: int
    uuid: str
    address: str
    fabric_uri: str
    state: MemberState
    fault_domain: str
    last_update: datetime
    incarnation: int = 0
    fabric_contexts: int = 0
    secondary_fabric_uris: tuple[str, ...] = ()
    secondary_fabric_contexts: tuple[int, ...] = ()
    info: str = ""

    @property
    def is_available(self) -> bool:
        """Whether pools may be placed on it and their services asked for."""
        return bool(self.state & StateMask.AVAILABLE)

    @property
    def in_group_map(self) -> bool:
        """Whether engines learn of it: stopped and errored ranks stay in the map, excluded ones leave it."""
        return not self.state & StateMask.NOT_IN_GROUP_MAP and self.rank != NIL_RANK and bool(self.fabric_uri)

    def with_state(self, state: MemberState, info: str, now: datetime) -> "Member":
        return replace(self, state=state, info=info, last_update=now)
