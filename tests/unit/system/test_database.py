"""The system database in memory: what it refuses, and what a copy shares."""

from dataclasses import replace

import pytest

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
from daos_control.system.database import SystemDatabase
from daos_control.system.member import MAX_RANK, NIL_RANK
from unit.system.builders import database, member, pool, uuid


def restored(db: SystemDatabase, **changes: object) -> SystemDatabase:
    parts: dict[str, object] = {
        "members": list(db.members.values()),
        "pools": list(db.pools.values()),
        "attributes": db.attributes,
        "domain_numbers": db.domain_numbers,
        "next_rank": db.next_rank,
        "map_version": db.map_version,
        "version": db.version,
        **changes,
    }
    return SystemDatabase.restore(**parts)  # type: ignore[arg-type]


def sample() -> SystemDatabase:
    db = database(member(0), member(1), pool(1), pool(2), foo="bar")
    db.apply([SetNextRank(2), BumpMapVersion()])
    return db


@pytest.mark.parametrize(
    ("change", "on_map"),
    [
        (PutMember(member(7)), 1),
        (PutMember(replace(member(0), info="x")), 1),
        (RemoveMember(member(0).uuid), 1),
        (SetNextRank(5), 0),
        (PutPool(pool(9)), 0),
        (RemovePool(pool(1).uuid), 0),
        (SetAttributes({"a": "b"}), 0),
        (SetAttributes({}), 0),
        (BumpMapVersion(), 1),
    ],
)
def test_each_change_raises_the_version_and_those_of_members_the_map_version(change: Change, on_map: int) -> None:
    db = sample()
    version, map_version = db.version, db.map_version
    db.apply([change])
    assert (db.version, db.map_version) == (version + 1, map_version + on_map)
    db.check_invariants()


@pytest.mark.parametrize(
    "change",
    [
        PutMember(member(0, number=99)),
        PutMember(member(5, number=0)),
        PutMember(member(NIL_RANK, address="a")),
        PutPool(pool(9, label="pool1")),
        SetNextRank(1),
        SetNextRank(MAX_RANK + 1),
    ],
)
def test_a_change_that_would_break_an_invariant_is_refused(change: Change) -> None:
    with pytest.raises(ValueError, match=r"rank|label"):
        sample().apply([change])


def test_a_pool_may_take_another_label_and_free_its_old_one() -> None:
    db = sample()
    db.apply([PutPool(pool(1, label="new")), PutPool(pool(2, label="pool1")), PutPool(pool(3, label=""))])
    assert db.pool_of_label("new") == pool(1, label="new")
    assert db.pool_of_label("pool1") == pool(2, label="pool1")
    assert db.pool_of_label("pool2") is None
    assert db.pool_of_label("") is None
    db.check_invariants()


def test_a_copy_goes_its_own_way() -> None:
    db = sample()
    other = db.copy()
    other.apply(
        [RemoveMember(member(0).uuid), RemovePool(pool(1).uuid), SetAttributes({"foo": ""}), SetNextRank(9)]
    )
    other.apply([PutMember(member(5, fault_domain="/new"))])
    assert sorted(db.ranks) == [0, 1]
    assert db.pool_of_label("pool1") is not None
    assert db.attributes["foo"] == "bar"
    assert db.next_rank == 2
    assert "/new" not in db.domain_numbers
    db.check_invariants()
    other.check_invariants()


def test_members_are_listed_by_rank() -> None:
    assert [m.rank for m in database(member(9), member(2), member(4)).members_by_rank()] == [2, 4, 9]


def test_stored_parts_make_the_same_database() -> None:
    db = sample()
    made = restored(db)
    for name in (
        "members",
        "ranks",
        "pools",
        "attributes",
        "domain_numbers",
        "next_rank",
        "map_version",
        "version",
    ):
        assert getattr(made, name) == getattr(db, name)
    assert made.pool_of_label("pool2") == pool(2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": [member(0), member(0)]}, "twice"),
        ({"members": [member(0), member(0, number=7)]}, "belongs to"),
        ({"members": [member(3)]}, "without a number"),
        ({"pools": [pool(1), pool(1)]}, "twice"),
        ({"pools": [pool(1), pool(2, label="pool1")]}, "belongs to pool"),
        ({"attributes": {"a": ""}}, "empty"),
        ({"domain_numbers": {"/host0": 2, "/host1": 2}}, "same number"),
        ({"domain_numbers": {"/host0": 2, "/host1": 4}}, "gaps"),
        ({"next_rank": 0}, "out of range"),
        ({"map_version": 10**6}, "ahead"),
    ],
)
def test_stored_parts_that_do_not_fit_together_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        restored(sample(), **changes)


def test_unknown_records_cannot_be_removed() -> None:
    for change in (RemoveMember(uuid(99)), RemovePool(uuid(99))):
        with pytest.raises(KeyError):
            sample().apply([change])
