"""JSON, tables, sizes and lists of names, each by itself."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daos_control.cli import gojson, sizing
from daos_control.cli.names_values import names, names_values
from daos_control.cli.table import entity, indent, table
from daos_control.faults import ControlError
from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(_JSON)
def test_json_reads_back_as_what_was_written(value: object) -> None:
    assert json.loads(gojson.dumps(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_reads_back_as_what_was_written(value: float) -> None:
    assert float(gojson.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<nil> & ü\u2028\x01\x7f", '"\\u003cnil\\u003e \\u0026 ü\\u2028\\u0001\x7f"'),
        ((), "null"),
        ([], "[]"),
        ({}, "{}"),
        ({"a": [1], "b": {}}, '{\n  "a": [\n    1\n  ],\n  "b": {}\n}'),
        (8e9, "8000000000"),
        (0.5, "0.5"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (0.00001, "0.00001"),
        (MemberState.ADMIN_EXCLUDED, '"adminexcluded"'),
        (RankSet([1, 0]), "[\n  0,\n  1\n]"),
    ],
)
def test_json_has_the_form_of_go(value: object, text: str) -> None:
    assert gojson.dumps(value) == text


def test_columns_are_as_wide_as_their_longest_cell_and_end_with_a_space() -> None:
    assert table(["A", "Bee"], [{"A": "long", "Bee": "x"}, {"A": "y\tz"}]) == (
        "A    Bee  \n-    ---  \nlong x    \ny z  None \n"
    )


def test_names_of_an_entity_are_padded_as_daos_counts_them() -> None:
    assert entity("t", [("a", "b"), ("bananas", "grapes")]) == (
        "t\n-\n  a       : b       \n  bananas : grapes  \n"
    )
    assert indent("a\n\nb\n", 4) == "    a\n\n    b\n"


@pytest.mark.parametrize(
    ("text", "ratios"),
    [("6,94", (0.06, 0.94)), ("6%", (0.06, 0.94)), ("100", (1.0, 0.0)), ("33.333", (0.3333, 0.6667))],
)
def test_tier_ratio_is_in_percent_and_the_rest_goes_to_the_second_tier(
    text: str, ratios: tuple[float, float]
) -> None:
    assert sizing.pool_tier_ratios(text) == pytest.approx(ratios)


@pytest.mark.parametrize("text", ["", "5,5", "-1,101", "x", "30,30,40"])
def test_tier_ratio_that_does_not_make_two_tiers_of_all_is_refused(text: str) -> None:
    with pytest.raises(ControlError):
        sizing.pool_tier_ratios(text)


@pytest.mark.parametrize("text", ["0%", "101%", "x%", "%", "-5%", "", "5 apples"])
def test_pool_size_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ControlError):
        sizing.pool_size(text)


def test_pool_size_is_a_total_or_a_share() -> None:
    assert sizing.pool_size("2TB") == sizing.PoolSize(bytes=2 * 10**12)
    assert sizing.pool_size(" 50 % ") == sizing.PoolSize(percent=50)


def test_separators_in_quotes_or_escaped_belong_to_names_and_values() -> None:
    assert names_values("a:1,b:'x,y:z',c\\,d:2") == {"a": "1", "b": "'x,y:z'", "c\\,d": "2"}
    assert names_values("self_heal:exclude;rebuild,x:a:b") == {"self_heal": "exclude;rebuild", "x": "a:b"}
    assert names("a, b,a") == ("a", "b")


@pytest.mark.parametrize("text", ["", "a", "a:", ":1", "a:1,a:2", "x" * 600 + ":1"])
def test_malformed_names_and_values_are_refused(text: str) -> None:
    with pytest.raises(ControlError):
        names_values(text)
