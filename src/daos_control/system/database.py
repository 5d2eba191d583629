"""The system database in memory: members, pools, attributes and their versions."""

from collections.abc import Iterable
from typing import Self, assert_never

from daos_control.system.changes import (
    BumpMapVersion,
    Change,
    PutMember,
    PutPool,
    RemoveMember,
    RemovePool,
    SetAttributes,
    SetNextRank,
)
from daos_control.system.member import MAX_RANK, Member
from daos_control.system.pool import PoolService

FIRST_ASSIGNED_RANK = 1  # rank 0 belongs to engine 0 of the first listed replica


class SystemDatabase:
    """The state that every decision is taken against.

    Invariants: a uuid has one member and a rank has one uuid; labels of pools are unique; `version` grows by one
    with each change, `map_version` with each that touches members, and neither ever goes back; `next_rank` is
    above every rank that was handed out by it.

    `copy` is cheap (records are immutable and shared), which is how a batch is decided: against a copy, that takes
    the place of the original once the batch is durable.
    """

    __slots__ = ("_labels", "attributes", "map_version", "members", "next_rank", "pools", "ranks", "version")

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.ranks: dict[int, str] = {}
        self.pools: dict[str, PoolService] = {}
        self._labels: dict[str, str] = {}
        self.attributes: dict[str, str] = {}
        self.next_rank = FIRST_ASSIGNED_RANK
        self.map_version = 0
        self.version = 0

    def copy(self) -> Self:
        other = type(self)()
        other.members = dict(self.members)
        other.ranks = dict(self.ranks)
        other.pools = dict(self.pools)
        other._labels = dict(self._labels)
        other.attributes = dict(self.attributes)
        other.next_rank = self.next_rank
        other.map_version = self.map_version
        other.version = self.version
        return other

    def member_of_rank(self, rank: int) -> Member | None:
        uuid = self.ranks.get(rank)
        return None if uuid is None else self.members[uuid]

    def members_by_rank(self) -> list[Member]:
        return [self.members[self.ranks[rank]] for rank in sorted(self.ranks)]

    def pool_of_label(self, label: str) -> PoolService | None:
        uuid = self._labels.get(label)
        return None if uuid is None else self.pools[uuid]

    def apply(self, changes: Iterable[Change]) -> None:
        """Raises ValueError where a change would break an invariant: a decision must never return such."""
        for change in changes:
            self._apply(change)
            self.version += 1

    def _apply(self, change: Change) -> None:
        match change:
            case PutMember(member):
                self._put_member(member)
                self.map_version += 1
            case RemoveMember(uuid):
                del self.ranks[self.members.pop(uuid).rank]
                self.map_version += 1
            case SetNextRank(rank):
                if not self.next_rank <= rank <= MAX_RANK:
                    raise ValueError(f"next rank {rank} is out of order (now {self.next_rank})")
                self.next_rank = rank
            case PutPool(pool):
                self._put_pool(pool)
            case RemovePool(uuid):
                self._labels.pop(self.pools.pop(uuid).label, None)
            case SetAttributes(values):
                for key, value in values.items():
                    if value:
                        self.attributes[key] = value
                    else:
                        self.attributes.pop(key, None)
            case BumpMapVersion():
                self.map_version += 1
            case _:
                assert_never(change)

    def _put_member(self, member: Member) -> None:
        holder = self.ranks.get(member.rank)
        if holder not in (None, member.uuid):
            raise ValueError(f"rank {member.rank} belongs to {holder}")
        known = self.members.get(member.uuid)
        if known is not None and known.rank != member.rank:
            raise ValueError(f"member {member.uuid} has rank {known.rank}, not {member.rank}")
        self.members[member.uuid] = member
        self.ranks[member.rank] = member.uuid

    def _put_pool(self, pool: PoolService) -> None:
        if pool.label and self._labels.get(pool.label, pool.uuid) != pool.uuid:
            raise ValueError(f"label {pool.label} belongs to pool {self._labels[pool.label]}")
        known = self.pools.get(pool.uuid)
        if known is not None:
            self._labels.pop(known.label, None)
        self.pools[pool.uuid] = pool
        if pool.label:
            self._labels[pool.label] = pool.uuid

    def check_invariants(self) -> None:
        """Raises AssertionError where one of the class's invariants does not hold; for tests."""
        assert {m.rank: u for u, m in self.members.items()} == self.ranks
        assert all(u == m.uuid for u, m in self.members.items())
        assert {p.label: u for u, p in self.pools.items() if p.label} == self._labels
        assert self.map_version <= self.version
