"""The system database in memory: members, pools, attributes and their versions."""

from collections.abc import Iterable, Mapping
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
from daos_control.system.fault_domain import FIRST_DOMAIN_ID, ancestors
from daos_control.system.member import MAX_RANK, Member
from daos_control.system.pool import PoolService

FIRST_ASSIGNED_RANK = 1  # rank 0 belongs to engine 0 of the first listed replica


class SystemDatabase:
    """The state that every decision is taken against.

    Invariants: a uuid has one member and a rank has one uuid; labels of pools are unique; `version` grows by one
    with each change, `map_version` with each that touches members, and neither ever goes back; `next_rank` is
    above every rank that was handed out by it; each fault domain that a member ever stood in has a number of its
    own in `domain_numbers`, which never changes and is never given again, because the maps of pools keep it.

    `copy` is cheap (records are immutable and shared), which is how a batch is decided: against a copy, that takes
    the place of the original once the batch is durable.
    """

    __slots__ = (
        "_labels",
        "attributes",
        "domain_numbers",
        "map_version",
        "members",
        "next_rank",
        "pools",
        "ranks",
        "version",
    )

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.ranks: dict[int, str] = {}
        self.pools: dict[str, PoolService] = {}
        self._labels: dict[str, str] = {}
        self.attributes: dict[str, str] = {}
        self.domain_numbers: dict[str, int] = {}
        self.next_rank = FIRST_ASSIGNED_RANK
        self.map_version = 0
        self.version = 0

    @classmethod
    def restore(
        cls,
        *,
        members: Iterable[Member],
        pools: Iterable[PoolService],
        attributes: Mapping[str, str],
        domain_numbers: Mapping[str, int],
        next_rank: int,
        map_version: int,
        version: int,
    ) -> Self:
        """The database of stored parts. Raises ValueError where they break an invariant."""
        db = cls()
        db.domain_numbers = dict(domain_numbers)
        if len(set(db.domain_numbers.values())) != len(db.domain_numbers):
            raise ValueError("two fault domains have the same number")
        for member in members:
            if member.uuid in db.members:
                raise ValueError(f"member {member.uuid} is there twice")
            db._put_member(member)
        if len(db.domain_numbers) != len(domain_numbers):
            raise ValueError("a member stands in a fault domain without a number")
        for pool in pools:
            if pool.uuid in db.pools:
                raise ValueError(f"pool {pool.uuid} is there twice")
            db._put_pool(pool)
        db.attributes = dict(attributes)
        db.next_rank = next_rank
        db.map_version = map_version
        db.version = version
        try:
            db.check_invariants()
        except AssertionError as error:
            raise ValueError(str(error)) from error
        return db

    def copy(self) -> Self:
        other = type(self)()
        other.members = dict(self.members)
        other.ranks = dict(self.ranks)
        other.pools = dict(self.pools)
        other._labels = dict(self._labels)
        other.attributes = dict(self.attributes)
        other.domain_numbers = dict(self.domain_numbers)
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
        if not 0 <= member.rank <= MAX_RANK:
            raise ValueError(f"member {member.uuid} has rank {member.rank}, which is none")
        self.members[member.uuid] = member
        self.ranks[member.rank] = member.uuid
        for path in ancestors(member.fault_domain):
            if path not in self.domain_numbers:
                self.domain_numbers[path] = FIRST_DOMAIN_ID + len(self.domain_numbers)

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
        """Raises AssertionError where one of the class's invariants does not hold; for tests and after loading."""
        _require({m.rank: u for u, m in self.members.items()} == self.ranks, "ranks and uuids are not one to one")
        _require(all(u == m.uuid for u, m in self.members.items()), "a member is filed under another uuid")
        _require(all(u == p.uuid for u, p in self.pools.items()), "a pool is filed under another uuid")
        labels = {p.label: u for u, p in self.pools.items() if p.label}
        _require(labels == self._labels, "labels and pools do not belong together")
        _require(len(labels) == sum(1 for p in self.pools.values() if p.label), "two pools have the same label")
        _require(all(self.attributes.values()), "an attribute is empty")
        _require(0 <= self.map_version <= self.version, "the map version is ahead of the version")
        _require(FIRST_ASSIGNED_RANK <= self.next_rank <= MAX_RANK, "the next rank is out of range")
        numbers = set(self.domain_numbers.values())
        _require(
            numbers == set(range(FIRST_DOMAIN_ID, FIRST_DOMAIN_ID + len(self.domain_numbers))),
            "the numbers of fault domains have gaps",
        )
        domains = {path for m in self.members.values() for path in ancestors(m.fault_domain)}
        _require(domains <= self.domain_numbers.keys(), "a member stands in a fault domain without a number")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
