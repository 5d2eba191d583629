"""Rank sets: one text per set, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError
from daos_control.system.member import MAX_RANK
from daos_control.system.ranks import MAX_RANKS, RankSet

RANKS = st.sets(st.one_of(st.integers(0, 40), st.integers(0, MAX_RANK)), max_size=60)


@pytest.mark.parametrize(
    ("text", "ranks", "printed"),
    [
        ("", [], ""),
        ("[]", [], ""),
        ("0", [0], "0"),
        ("0-3,5", [0, 1, 2, 3, 5], "0-3,5"),
        ("[0-3,5,7-9]", [0, 1, 2, 3, 5, 7, 8, 9], "0-3,5,7-9"),
        ("5,1,1,2", [1, 2, 5], "1-2,5"),
        ("4294967294", [MAX_RANK], "4294967294"),
    ],
)
def test_a_list_of_ranks_is_read_and_printed_folded(text: str, ranks: list[int], printed: str) -> None:
    parsed = RankSet.parse(text)
    assert parsed.to_json() == ranks
    assert str(parsed) == printed


@pytest.mark.parametrize(
    "text",
    ["a", "1-", "-1", "1--2", "3-1", "1, 2", "1 2", "4294967295", "99999999999", "[1", "1]", ",", "1,,2", "１"],
)
def test_what_is_no_list_of_ranks_is_refused(text: str) -> None:
    with pytest.raises(ControlError, match="invalid rank list"):
        RankSet.parse(text)


def test_a_small_text_cannot_demand_a_huge_set() -> None:
    with pytest.raises(ControlError, match="more than"):
        RankSet.parse("0-4294967294")
    half = MAX_RANKS // 2
    with pytest.raises(ControlError, match="more than"):
        RankSet.parse(f"0-{half},{MAX_RANKS}-{MAX_RANKS + half}")


def test_ranks_out_of_range_are_refused() -> None:
    for rank in (-1, MAX_RANK + 1):
        with pytest.raises(ControlError, match="out of range"):
            RankSet([rank])


def test_brackets_are_printed_around_several_ranks_only() -> None:
    assert RankSet([1, 2, 4]).ranged == "[1-2,4]"
    assert RankSet([1]).ranged == "1"
    assert RankSet().ranged == ""


@pytest.mark.parametrize(("value", "ranks"), [([3, 1], [1, 3]), ("[0-1]", [0, 1]), ("[]", []), ([], [])])
def test_json_is_a_list_or_a_text(value: object, ranks: list[int]) -> None:
    assert RankSet.from_json(value).to_json() == ranks


@pytest.mark.parametrize("value", [None, 1, [True], ["1"], {"a": 1}])
def test_other_json_is_refused(value: object) -> None:
    with pytest.raises(ControlError):
        RankSet.from_json(value)


@given(RANKS)
def test_every_set_survives_its_texts(ranks: set[int]) -> None:
    made = RankSet(ranks)
    assert RankSet.parse(str(made)) == RankSet.parse(made.ranged) == RankSet.from_json(made.to_json()) == made
    assert list(made) == sorted(ranks)


@given(RANKS, RANKS)
def test_operations_are_those_of_sets(left: set[int], right: set[int]) -> None:
    a, b = RankSet(left), RankSet(right)
    assert set(a | b) == left | right
    assert set(a & b) == left & right
    assert set(a - b) == left - right
    assert len(a) == len(left)
    assert all(rank in a for rank in left)
