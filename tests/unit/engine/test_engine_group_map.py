"""When a group map counts, and how log masks are read."""

import logging

import pytest

from daos_control.engine.group_map import GroupEngine, GroupMap, GroupView, Verdict
from daos_control.engine.log import parse_masks


def group(version: int, *ranks: int) -> GroupMap:
    return GroupMap(version, {rank: GroupEngine(rank, f"ofi+tcp://h:{rank + 1}", 7) for rank in ranks})


def test_a_rank_is_set_once() -> None:
    view = GroupView()
    assert view.set_rank(3, 2)
    assert not view.set_rank(3, 2)
    assert not view.set_rank(4, 9)
    assert (view.rank, view.minimum_version) == (3, 2)


def test_only_newer_maps_count() -> None:
    view = GroupView()
    assert view.offer(group(9, 0)) is Verdict.STALE
    view.set_rank(0, 5)
    assert view.offer(group(4, 1)) is Verdict.STALE
    assert view.offer(group(5, 0, 1)) is Verdict.ADOPTED
    assert view.offer(group(5, 1)) is Verdict.STALE
    assert view.offer(group(3, 1)) is Verdict.STALE
    assert view.map == group(5, 0, 1)


def test_a_newer_map_without_our_rank_excludes_us_and_is_not_taken() -> None:
    view = GroupView()
    view.set_rank(0, 1)
    view.offer(group(2, 0))
    assert view.offer(group(3, 1, 2)) is Verdict.EXCLUDED
    assert view.map.version == 2


def test_a_map_survives_its_json() -> None:
    assert GroupMap.from_json(group(4, 1, 2).to_json()) == group(4, 1, 2)


@pytest.mark.parametrize(
    ("text", "base", "special"),
    [
        ("ERR", logging.ERROR, {}),
        ("info,MGMT=DBUG,pool=WARN", logging.INFO, {"mgmt": logging.DEBUG, "pool": logging.WARNING}),
        ("CRT=DEBUG", None, {"fabric": logging.DEBUG}),
        ("LOUD,mgmt=LOUD,nosuch=ERR", None, {}),
        ("", None, {}),
    ],
)
def test_masks_are_read_as_daos_writes_them(text: str, base: int | None, special: dict[str, int]) -> None:
    assert parse_masks(text) == (base, special)
