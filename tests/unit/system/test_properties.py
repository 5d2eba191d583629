"""System properties, attributes, and the management service's own settings."""

import pytest

from daos_control.faults import ControlError
from daos_control.system import properties as p
from daos_control.system.changes import SetAttributes
from daos_control.system.database import SystemDatabase
from daos_control.system.state import MemberState
from daos_control.version import DAOS_VERSION
from unit.system.builders import NOW, database, member


def values(db: SystemDatabase, *names: str) -> dict[str, str]:
    return p.get_properties(db, names, system_name="daos_server")


def set_(db: SystemDatabase, **wanted: str) -> tuple[tuple[int, int | str], ...]:
    decision = p.decide_set_properties(db, wanted)
    db.apply(decision.changes)
    return decision.result


def test_all_properties_have_the_defaults_observed_of_daos() -> None:
    assert values(SystemDatabase()) == {
        "pool_scrub_mode": "off",
        "pool_scrub_thresh": "0",
        "self_heal": "exclude;pool_exclude;pool_rebuild",
        "daos_system": "daos_server",
        "daos_version": DAOS_VERSION,
    }
    assert {f.name: f.description for f in p.TABLE} == {
        "pool_scrub_mode": "Checksum scrubbing mode",
        "pool_scrub_thresh": "Checksum scrubbing threshold",
        "self_heal": "Self-heal policy for the system",
        "daos_system": "DAOS system name",
        "daos_version": "DAOS version",
    }


def test_a_property_is_found_in_any_case_and_answered_as_asked() -> None:
    db = SystemDatabase()
    set_(db, Pool_Scrub_Mode="LAZY")
    assert values(db, "POOL_SCRUB_MODE") == {"POOL_SCRUB_MODE": "lazy"}
    assert db.attributes == {"prop.pool_scrub_mode": "lazy"}


def test_properties_of_pools_are_to_be_set_on_all_of_them() -> None:
    db = SystemDatabase()
    assert set_(db, pool_scrub_mode="timed", pool_scrub_thresh="7") == ((16, 2), (18, 7))
    assert set_(db, self_heal="none") == ()


@pytest.mark.parametrize("given", [set(), {1}, {16}, {16, 18}])
def test_a_new_pool_takes_them_unless_its_creator_says_otherwise(given: set[int]) -> None:
    db = SystemDatabase()
    set_(db, pool_scrub_mode="lazy")
    expected = {16: 1, 18: 0}
    assert p.pool_properties_for_create(db, given) == tuple((n, v) for n, v in expected.items() if n not in given)


@pytest.mark.parametrize(
    "value",
    [
        "none",
        "exclude",
        "pool_exclude",
        "pool_rebuild",
        "exclude;pool_exclude",
        "exclude;pool_rebuild",
        "pool_exclude;pool_rebuild",
        "exclude;pool_exclude;pool_rebuild",
    ],
)
def test_self_heal_takes_every_subset_in_order(value: str) -> None:
    db = SystemDatabase()
    set_(db, self_heal=value)
    assert p.self_heal_policy(db) == value
    flags = p.self_heal(db)
    names = {flag.name.lower() for flag in p.SelfHeal if flag in flags and flag.name}
    assert names == set(value.split(";")) - {"none"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("self_heal", "pool_rebuild;exclude", "is none of"),
        ("self_heal", "", "is none of"),
        ("self_heal", "exclude;none", "is none of"),
        ("pool_scrub_mode", "fast", "invalid value"),
        ("pool_scrub_thresh", "many", "invalid value"),
        ("daos_version", "3", "cannot be set"),
        ("daos_system", "x", "cannot be set"),
        ("colour", "red", "unknown property"),
    ],
)
def test_one_wrong_value_sets_none(name: str, value: str, words: str) -> None:
    with pytest.raises(ControlError, match=words):
        p.decide_set_properties(SystemDatabase(), {"pool_scrub_mode": "lazy", name: value})


def test_an_unknown_property_cannot_be_read() -> None:
    with pytest.raises(ControlError, match="unknown property"):
        values(SystemDatabase(), "self_heal", "colour")


# Attributes.


def test_attributes_are_set_read_and_deleted() -> None:
    db = database()
    db.apply(p.decide_set_attributes(db, {"foo": "bar", "a": "b"}).changes)
    assert p.get_attributes(db) == {"a": "b", "foo": "bar"}
    assert p.get_attributes(db, ["foo"]) == {"foo": "bar"}
    db.apply(p.decide_set_attributes(db, {"foo": "", "unset": ""}).changes)
    assert p.get_attributes(db) == {"a": "b"}
    db.check_invariants()


def test_setting_what_is_set_already_needs_no_commit() -> None:
    db = database(foo="bar")
    assert p.decide_set_attributes(db, {"foo": "bar", "none": ""}).changes == ()
    assert p.decide_set_attributes(db, {"foo": "baz", "none": ""}).changes == (SetAttributes({"foo": "baz"}),)


@pytest.mark.parametrize("key", ["prop.x", "mgmt.fabric_providers", ""])
def test_reserved_keys_cannot_be_set(key: str) -> None:
    with pytest.raises(ControlError, match=r"reserved|must have a name"):
        p.decide_set_attributes(database(), {"ok": "1", key: "x"})


def test_reserved_keys_are_never_shown_and_unknown_ones_are_an_error() -> None:
    db = database(foo="bar")
    assert p.get_attributes(db, [p.FABRIC_PROVIDERS, "foo"]) == {"foo": "bar"}
    with pytest.raises(ControlError, match='key "nope"'):
        p.get_attributes(db, ["foo", "nope"])


# The fabric provider.


def test_the_first_leader_records_the_providers() -> None:
    db = SystemDatabase()
    decision = p.decide_fabric_providers(db, ["ofi+tcp", "ofi+verbs"], NOW)
    assert decision.result is None
    db.apply(decision.changes)
    assert p.fabric_providers(db) == ("ofi+tcp", "ofi+verbs")
    assert p.decide_fabric_providers(db, ["ofi+tcp", "ofi+verbs"], NOW).changes == ()
    assert not p.group_update_paused(db)


def test_another_provider_pauses_group_updates_and_is_told() -> None:
    db = database(member(0, MemberState.STOPPED))
    decision = p.decide_fabric_providers(db, ["ofi+verbs"], NOW, hostname="h")
    db.apply(decision.changes)
    assert p.group_update_paused(db)
    assert p.fabric_providers(db) == ("ofi+verbs",)
    assert decision.result is not None
    assert decision.result.name == "system_fabric_provider_changed"
    assert decision.result.message.endswith("ofi+tcp -> ofi+verbs")


def test_the_provider_stays_while_a_member_is_joined() -> None:
    db = database(member(0, MemberState.STOPPED), member(1))
    with pytest.raises(ControlError, match=r"1 member\(s\) are joined"):
        p.decide_fabric_providers(db, ["ofi+verbs"], NOW)


def test_nothing_is_recorded_in_an_empty_database() -> None:
    db = SystemDatabase()
    assert p.fabric_providers(db) == ()
    assert not p.checker_enabled(db)
    db.apply([SetAttributes({p.CHECKER_ENABLED: "true"})])
    assert p.checker_enabled(db)
