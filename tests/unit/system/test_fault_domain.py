"""Fault domains: paths, labels, and the tree in the form that engines take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError
from daos_control.system.changes import PutMember, RemoveMember
from daos_control.system.database import SystemDatabase
from daos_control.system.fault_domain import FaultDomain, ancestors, compressed_tree, levels_of
from unit.system.builders import database, member


@pytest.mark.parametrize(
    ("text", "printed", "labels"),
    [
        ("/host1", "/host1", ()),
        ("/Rack0/HOST1", "/rack0/host1", ()),
        (' / "rack 0" / host1 ', "/rack 0/host1", ()),
        ("/rack=r0/host=h1", "/rack=r0/host=h1", ("rack", "host")),
        ('/" L "= X', "/l=x", ("l",)),
        ("", "/", ()),
        ("/", "/", ()),
        ("  ", "/", ()),
    ],
)
def test_a_path_is_normalized(text: str, printed: str, labels: tuple[str, ...]) -> None:
    domain = FaultDomain.parse(text)
    assert str(domain) == printed
    assert domain.labels == labels
    assert FaultDomain.parse(printed) == domain
    assert domain.is_empty == (printed == "/")
    assert levels_of(printed) == domain.levels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("host1", "slash"),
        ("//host1", "empty"),
        ("/rack0/", "empty"),
        ('/""', "empty"),
        ("/=x", "empty"),
        ("/x=", "empty"),
        ("/a=b=c", "="),
        ("/l=rack0/host1", "every level"),
        ("/rack0/l=host1", "every level"),
    ],
)
def test_what_is_no_path_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ControlError, match=reason):
        FaultDomain.parse(text)


def test_the_ancestors_of_a_path_end_with_itself() -> None:
    assert list(ancestors("/a/b/c")) == ["/a", "/a/b", "/a/b/c"]
    assert list(ancestors("/a")) == ["/a"]
    assert list(ancestors("/")) == []


def tree_of(db: SystemDatabase, *ranks: int) -> tuple[int, ...]:
    return compressed_tree(list(db.members.values()), db.domain_numbers, ranks)


def test_the_tree_of_one_rank_is_the_one_observed_of_daos() -> None:
    db = database(member(0, fault_domain="/vm"))
    assert tree_of(db, 0) == (0, 2, 1, 1, 1, 2, 1, 0)


def test_two_hosts_with_two_ranks_each() -> None:
    hosts = ["/a", "/a", "/b", "/b"]
    db = database(*(member(rank, fault_domain=host) for rank, host in enumerate(hosts)))
    assert tree_of(db) == (0, 2, 1, 2, 1, 2, 2, 1, 3, 2, 0, 1, 2, 3)
    assert tree_of(db, 3, 0) == (0, 2, 1, 2, 1, 2, 1, 1, 3, 1, 0, 3)
    assert tree_of(db, 2) == (0, 2, 1, 1, 1, 3, 1, 2)


def test_ranks_of_one_host_are_in_the_order_of_their_names_as_in_daos() -> None:
    db = database(*(member(rank, fault_domain="/h") for rank in (1, 2, 10, 11)))
    assert tree_of(db) == (0, 2, 1, 1, 1, 2, 4, 1, 10, 11, 2)


def test_two_levels_are_marked_as_performance_domains() -> None:
    db = database(member(0, fault_domain="/r1/h1"), member(1, fault_domain="/r2/h1"))
    assert tree_of(db) == (2, 3, 1, 2, 2, 2, 1, 2, 4, 1, 1, 3, 1, 1, 5, 1, 0, 1)


def test_a_rank_that_is_no_member_is_refused() -> None:
    with pytest.raises(ControlError, match="rank 7"):
        tree_of(database(member(0)), 0, 7)


def test_numbers_of_domains_stay_whoever_comes_and_goes() -> None:
    """A pool's map keeps the numbers: an extension of the pool must say the same ones."""
    db = database(member(0, fault_domain="/m"), member(1, fault_domain="/z"))
    before = dict(db.domain_numbers)
    db.apply([PutMember(member(2, fault_domain="/a")), RemoveMember(member(0).uuid)])
    assert before.items() <= db.domain_numbers.items()
    db.apply([PutMember(member(3, fault_domain="/new")), PutMember(member(4, fault_domain="/m"))])
    assert db.domain_numbers == {"/m": 2, "/z": 3, "/a": 4, "/new": 5}
    db.check_invariants()


def decode(tree: tuple[int, ...], paths: dict[int, str]) -> dict[int, str]:
    """The paths of the ranks of a compressed tree, read as an engine does: level by level."""
    at, row, found = 1, [""], {}
    while row:
        below: list[str] = []
        level = None
        for parent in row:
            if parent.endswith("!"):
                found[tree[at]] = parent[:-1]
                at += 1
                continue
            level, number, count = tree[at : at + 3]
            at += 3
            path = "" if number == 1 else paths[number]
            below += [path + ("!" if level == 1 else "")] * count
        row = below
    assert at == len(tree)
    return found


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20), st.integers(1, 2), st.data()
)
def test_an_engine_reads_the_same_domains_out_of_the_tree(
    places: list[tuple[int, int]], depth: int, data: st.DataObject
) -> None:
    domains = [f"/r{rack}/h{host}" if depth == 2 else f"/h{host}" for rack, host in places]
    db = database(*(member(rank, fault_domain=path) for rank, path in enumerate(domains)))
    ranks = data.draw(st.sets(st.sampled_from(range(len(domains)))))
    names = {number: path for path, number in db.domain_numbers.items()}
    expected = {rank: domains[rank] for rank in (ranks or range(len(domains)))}
    assert decode(tree_of(db, *ranks), names) == expected
