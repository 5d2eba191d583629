"""What a pool's service keeps: map, properties, access control list, placement."""

import pytest

from daos_control.engine import pool_acl
from daos_control.engine.placement import choose_service_ranks, domains_of_ranks, service_replicas, service_rf_of
from daos_control.engine.pool_map import PoolMap, TargetState
from daos_control.engine.pool_record import PoolRecord, given_properties, new_record, property_messages
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto.mgmt.pool_pb2 import PoolProperty

UUID = "c659a01a-a5b9-4755-a2e7-06c2be50c8d1"


def record(**more: object) -> PoolRecord:
    given = given_properties([PoolProperty(number=1, strval="tank")], at_create=True)
    return new_record(UUID, {0: 2, 1: 2}, (0,), given, domains=1, owner="root@", group="", acl=pool_acl.DEFAULT)


def test_a_new_map_serves_with_every_target() -> None:
    found = PoolMap.new({3: 2, 1: 4})
    assert (found.version, found.ranks, found.target_count, found.disabled_count) == (1, (1, 3), 6, 0)
    assert (found.enabled_ranks, found.disabled_ranks) == ((1, 3), ())


def test_each_change_of_states_makes_a_new_version_and_no_change_makes_none() -> None:
    first = PoolMap.new({0: 2, 1: 2})
    second = first.with_states(1, [], TargetState.DOWN_OUT)
    assert (second.version, second.enabled_ranks, second.disabled_ranks, second.disabled_count) == (
        2,
        (0,),
        (1,),
        2,
    )
    assert second.with_states(1, [0], TargetState.DOWN_OUT) is second
    third = second.with_states(1, [1], TargetState.UP_IN)
    assert (third.version, third.enabled_ranks, third.disabled_ranks) == (3, (0, 1), (1,))
    assert PoolMap.from_json(third.to_json()) == third


@pytest.mark.parametrize(("rank", "targets"), [(7, []), (0, [2]), (0, [0, 9])])
def test_targets_that_are_not_in_the_pool_are_refused(rank: int, targets: list[int]) -> None:
    with pytest.raises(DaosError) as caught:
        PoolMap.new({0: 2}).with_states(rank, targets, TargetState.DOWN_OUT)
    assert caught.value.status == Status.NONEXIST


def test_a_record_survives_its_json() -> None:
    assert PoolRecord.from_json(record().to_json()) == record()


def test_properties_are_the_given_ones_over_the_defaults() -> None:
    numbers = [1, 3, 4, 6, 7, 8, 11, 14, 19, 26]
    found = {
        m.number: m.strval if m.WhichOneof("value") == "strval" else m.numval
        for m in property_messages(record(), numbers)
    }
    assert found == {1: "tank", 3: 5, 4: 3, 6: "root@", 7: "NOBODY@", 8: "[0]", 11: 0, 14: 4, 19: 2, 26: 0}


@pytest.mark.parametrize("number", [0, 2, 99])
def test_a_property_that_cannot_be_asked_for_is_refused(number: int) -> None:
    with pytest.raises(DaosError) as caught:
        property_messages(record(), [number])
    assert caught.value.status == Status.INVAL


@pytest.mark.parametrize(
    "message",
    [
        PoolProperty(number=1),
        PoolProperty(number=1, strval=""),
        PoolProperty(number=1, numval=4),
        PoolProperty(number=3, numval=101),
        PoolProperty(number=3, strval="5"),
        PoolProperty(number=8, strval="[0]"),
        PoolProperty(number=6, strval="me@"),
        PoolProperty(number=99, numval=1),
    ],
)
def test_a_property_that_cannot_be_set_is_refused(message: PoolProperty) -> None:
    with pytest.raises(DaosError) as caught:
        given_properties([message])
    assert caught.value.status == Status.INVAL


@pytest.mark.parametrize(
    ("service_rf", "ranks", "replicas"),
    [(2, 1, 1), (2, 2, 1), (2, 3, 3), (2, 4, 3), (2, 9, 5), (0, 9, 1), (4, 20, 9)],
)
def test_the_number_of_replicas_is_odd_and_fits(service_rf: int, ranks: int, replicas: int) -> None:
    assert service_replicas(service_rf, ranks) == replicas


def test_an_even_number_of_wanted_replicas_counts_as_one_less() -> None:
    assert [service_rf_of(n) for n in range(1, 10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    with pytest.raises(DaosError):
        service_replicas(5, 100)


def test_fault_domains_are_read_from_the_tree() -> None:
    # As DAOS's server sent it for one rank on one host.
    assert domains_of_ranks([0, 2, 1, 1, 1, 2, 1, 0]) == {0: 2}
    # Two racks, of which the second has two hosts.
    assert domains_of_ranks([2, 3, 1, 2, 2, 2, 1, 2, 3, 2, 1, 4, 1, 1, 5, 1, 1, 6, 1, 7, 8, 9]) == {
        7: 2,
        8: 3,
        9: 3,
    }
    assert domains_of_ranks([]) == {}


@pytest.mark.parametrize("tree", [[0], [0, 2, 1], [0, 2, 1, 1, 1, 2, 1], [0, 2, 1, 1, 1, 2, 1, 0, 0]])
def test_a_malformed_tree_is_refused(tree: list[int]) -> None:
    with pytest.raises(DaosError) as caught:
        domains_of_ranks(tree)
    assert caught.value.status == Status.INVAL


@pytest.mark.parametrize("seed", range(8))
def test_replicas_are_spread_over_domains(seed: int) -> None:
    domains = {0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 3}
    chosen = choose_service_ranks(list(domains), domains, 3, seed)
    assert {domains[rank] for rank in chosen} == {1, 2, 3}
    assert chosen == tuple(sorted(chosen))


def test_all_ranks_are_chosen_where_all_are_wanted() -> None:
    assert choose_service_ranks([4, 2, 0], {}, 3, 1) == (0, 2, 4)


def test_a_list_is_kept_in_the_order_of_principals() -> None:
    given = ["A::EVERYONE@:r", "A:G:readers@:r", "A:G:GROUP@:rw", "A::bob@:rw", "A::OWNER@:rw"]
    assert pool_acl.checked(given) == tuple(reversed(given))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "A::OWNER@",
        "X::OWNER@:r",
        "A:G:OWNER@:r",
        "A::GROUP@:r",
        "A::bob:r",
        "A::@bob:r",
        "A::b@b@:r",
        "A:Q:b@:r",
        "A::b@:ra",
        "A::" + "x" * 300 + "@:r",
    ],
)
def test_an_entry_that_no_pool_may_have_is_refused(entry: str) -> None:
    with pytest.raises(DaosError) as caught:
        pool_acl.checked([entry])
    assert caught.value.status == Status.INVAL


def test_a_principal_has_one_entry() -> None:
    with pytest.raises(DaosError):
        pool_acl.checked(["A::bob@:r", "A::bob@:rw"])
    assert pool_acl.merged(("A::bob@:r",), ["A::bob@:rw", "A:G:bob@:r"]) == ("A::bob@:rw", "A:G:bob@:r")


def test_entries_are_removed_by_principal() -> None:
    current = ("A::OWNER@:rw", "A::bob@:r", "A:G:bob@:r")
    assert pool_acl.without(current, "u:bob@") == ("A::OWNER@:rw", "A:G:bob@:r")
    assert pool_acl.without(current, "OWNER@") == ("A::bob@:r", "A:G:bob@:r")
    for principal, status in (("u:eve@", Status.NONEXIST), ("bob@", Status.INVAL), ("g:bob", Status.INVAL)):
        with pytest.raises(DaosError) as caught:
            pool_acl.without(current, principal)
        assert caught.value.status == status
