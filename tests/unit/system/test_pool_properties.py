"""The table of pool properties, against what DAOS's dmg was seen to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError
from daos_control.system.pool_properties import TABLE, Number, by_name, by_number

OBSERVED = """\
WAL checkpointing behavior (checkpoint)                                         timed
WAL checkpointing frequency, in seconds (checkpoint_freq)                       5
WAL checkpoint threshold, in percentage (checkpoint_thresh)                     50
Data bdev threshold size (data_thresh)                                          4.0 KiB
EC cell size (ec_cell_sz)                                                       128 KiB
Performance domain affinity level of EC (ec_pda)                                1
Global Version (global_version)                                                 4
Pool label (label)                                                              tank
Pool performance domain (perf_domain)                                           root
Pool redundancy factor (rd_fac)                                                 0
Reclaim strategy (reclaim)                                                      lazy
Reintegration mode (reintegration)                                              data_sync
Performance domain affinity level of RP (rp_pda)                                4294967295
Checksum scrubbing mode (scrub)                                                 off
Checksum scrubbing frequency (scrub_freq)                                       604800
Checksum scrubbing threshold (scrub_thresh)                                     0
Self-healing policy (self_heal)                                                 exclude;rebuild
Rebuild space ratio (space_rb)                                                  5%
Pool service replica list (svc_list)                                            [0]
Metadata duplicate operations detection enabled (svc_ops_enabled)               0
Metadata duplicate operations KVS max entry age, in seconds (svc_ops_entry_age) 300
Pool service redundancy factor (svc_rf)                                         2
Upgrade Status (upgrade_status)                                                 not started
"""
# What that pool had other than an engine's defaults.
OF_THAT_POOL = {"label": "tank", "rd_fac": 0, "svc_list": "[0]", "svc_ops_enabled": 0}


def test_the_listing_is_the_one_observed_of_daos() -> None:
    rows = [f"{f.description} ({f.name})".ljust(80) + f.format(OF_THAT_POOL.get(f.name, f.default)) for f in TABLE]
    assert "\n".join(rows) + "\n" == OBSERVED


def test_names_and_numbers_are_unique() -> None:
    assert len({f.name for f in TABLE}) == len({f.number for f in TABLE}) == len(TABLE)
    assert [f.name for f in TABLE] == sorted(f.name for f in TABLE)
    assert all(by_name(f.name) is f and by_number(f.number) is f for f in TABLE)


def test_the_numbers_are_those_on_the_wire() -> None:
    assert [n.value for n in Number] == list(range(1, 28))
    assert {f.name: f.number.value for f in TABLE} == {
        "label": 1,
        "space_rb": 3,
        "self_heal": 4,
        "reclaim": 5,
        "svc_list": 8,
        "ec_cell_sz": 9,
        "data_thresh": 10,
        "rd_fac": 11,
        "ec_pda": 12,
        "rp_pda": 13,
        "global_version": 14,
        "upgrade_status": 15,
        "scrub": 16,
        "scrub_freq": 17,
        "scrub_thresh": 18,
        "svc_rf": 19,
        "perf_domain": 21,
        "checkpoint": 22,
        "checkpoint_freq": 23,
        "checkpoint_thresh": 24,
        "reintegration": 25,
        "svc_ops_enabled": 26,
        "svc_ops_entry_age": 27,
    }


@pytest.mark.parametrize("found", TABLE, ids=lambda f: f.name)
def test_an_engine_takes_each_default(found) -> None:
    assert found.default is None or found.allows(found.default)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("space_rb", "0", 0),
        ("space_rb", "100%", 100),
        ("self_heal", "none", 0),
        ("self_heal", "exclude", 1),
        ("self_heal", "rebuild", 2),
        ("self_heal", "delay_rebuild", 4),
        ("self_heal", "Rebuild;Exclude", 3),
        ("self_heal", "delay_rebuild;exclude", 5),
        ("reclaim", "time", 4),
        ("ec_cell_sz", "64KiB", 65536),
        ("ec_cell_sz", "4KiB", 4096),
        ("ec_cell_sz", "1MiB", 1 << 20),
        ("data_thresh", "8k", 8000),
        ("rd_fac", "4", 4),
        ("rf", "2", 2),
        ("ec_pda", "4294967295", 0xFFFFFFFF),
        ("scrub", "timed", 2),
        ("scrub_freq", "10%", 10),
        ("svc_rf", "4", 4),
        ("perf_domain", "group", 200),
        ("checkpoint", "lazy", 2),
        ("checkpoint_freq", "1048576", 1048576),
        ("checkpoint_thresh", "75", 75),
        ("reintegration", "incremental", 2),
        ("svc_ops_enabled", "0", 0),
        ("svc_ops_entry_age", "60", 60),
        ("label", "my.pool", "my.pool"),
    ],
)
def test_values_that_are_allowed(name: str, text: str, value: int | str) -> None:
    found = by_name(name)
    assert found.parse(text) == value
    assert found.allows(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("space_rb", "101"),
        ("space_rb", "-1"),
        ("self_heal", "exclude;rebuild;delay_rebuild"),
        ("self_heal", ""),
        ("reclaim", "batch"),
        ("ec_cell_sz", "2KiB"),
        ("ec_cell_sz", "2MiB"),
        ("ec_cell_sz", "5000"),
        ("ec_cell_sz", "big"),
        ("data_thresh", "5GiB"),
        ("rd_fac", "5"),
        ("ec_pda", "0"),
        ("rp_pda", "4294967296"),
        ("scrub", "on"),
        ("scrub_freq", "often"),
        ("svc_rf", "5"),
        ("perf_domain", "rack"),
        ("checkpoint_freq", "0"),
        ("checkpoint_thresh", "9"),
        ("svc_ops_enabled", "2"),
        ("svc_ops_entry_age", "601"),
        ("label", "no good"),
        ("label", ""),
        ("global_version", "4"),
        ("upgrade_status", "completed"),
        ("svc_list", "[0]"),
    ],
)
def test_values_that_are_not_allowed(name: str, text: str) -> None:
    with pytest.raises(ControlError, match=name):
        by_name(name).parse(text)


def test_an_unknown_property_is_told_with_those_known() -> None:
    with pytest.raises(ControlError, match="checkpoint, checkpoint_freq"):
        by_name("colour")
    assert by_number(Number.ACL) is None


@pytest.mark.parametrize("found", TABLE, ids=lambda f: f.name)
def test_a_value_that_is_not_set_is_printed_as_such(found) -> None:
    assert found.format(None).endswith("not set")


@pytest.mark.parametrize(
    ("name", "value", "printed", "in_json"),
    [
        ("self_heal", 3, "exclude;rebuild", "exclude;rebuild"),
        ("self_heal", 6, "unknown", "unknown"),
        ("scrub", 9, "9", "9"),
        ("space_rb", 5, "5%", 5),
        ("ec_cell_sz", 131072, "128 KiB", 131072),
        ("label", "tank", "tank", "tank"),
        ("svc_list", "[0-2]", "[0-2]", [0, 1, 2]),
    ],
)
def test_values_are_printed_and_put_into_json(name: str, value: int | str, printed: str, in_json: object) -> None:
    assert by_name(name).format(value) == printed
    assert by_name(name).to_json(value) == in_json


@given(st.sampled_from(TABLE), st.integers(0, (1 << 64) - 1))
def test_any_number_from_the_wire_can_be_judged_and_printed(found, value: int) -> None:
    assert isinstance(found.format(value), str)
    if found.settable and found.allows(value) and found.name not in ("ec_cell_sz", "data_thresh"):
        assert found.parse(found.format(value)) == value
