"""Changes to the system: what a decision returns, what is committed, what is then applied.

A decision is a plain function (state, request, now) -> tuple of changes, or a Fault. The same changes go to the
store and to memory, so that the two cannot drift apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from daos_control.system.member import Member
from daos_control.system.pool import PoolService


@dataclass(frozen=True, slots=True)
class PutMember:
    """Add the member, or replace the record of the same uuid. Raises the map version by one."""

    member: Member


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Forget the member. Raises the map version by one."""

    uuid: str


@dataclass(frozen=True, slots=True)
class SetNextRank:
    """The rank to hand out next; never lower than before."""

    rank: int


@dataclass(frozen=True, slots=True)
class PutPool:
    """Add the pool, or replace the record of the same uuid."""

    pool: PoolService


@dataclass(frozen=True, slots=True)
class RemovePool:
    uuid: str


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Merge into the system's attributes; an empty value deletes its key."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BumpMapVersion:
    """Raise the map version although no member changed, so that engines take the map again."""


Change = PutMember | RemoveMember | SetNextRank | PutPool | RemovePool | SetAttributes | BumpMapVersion
