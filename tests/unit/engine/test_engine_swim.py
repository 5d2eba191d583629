"""Watching peers, with time passed in."""

from hypothesis import given
from hypothesis import strategies as st

from daos_control.engine.options import SwimSettings
from daos_control.engine.swim import AskHelpers, Died, PeerState, Ping, Swim

SETTINGS = SwimSettings(period=1.0, suspect_after=3.0, dead_after=8.0, watch=2)


def watch(ranks: list[int], me: int = 0, incarnation: int = 10) -> Swim:
    swim = Swim(me, SETTINGS, 0.0)
    swim.set_group(dict.fromkeys(ranks, incarnation), 0.0)
    swim.tick(0.0)
    return swim


def run(swim: Swim, start: int, end: int, alive: dict[int, int] | None = None) -> list[Died]:
    """Tick each second; ranks in `alive` (with their incarnation) answer every ping."""
    died: list[Died] = []
    for now in range(start, end):
        for action in swim.tick(float(now)):
            if isinstance(action, Ping) and alive and action.rank in alive:
                swim.heard(action.rank, alive[action.rank], float(now))
            if isinstance(action, Died):
                died.append(action)
        swim.check_invariants()
    return died


def test_a_peer_that_answers_stays_alive() -> None:
    swim = watch([0, 1])
    assert run(swim, 1, 60, {1: 10}) == []
    assert swim.state(1) is PeerState.ALIVE


def test_a_silent_peer_is_suspect_first_and_dead_later_and_reported_once() -> None:
    swim = watch([0, 1])
    assert run(swim, 1, 3) == []
    assert swim.state(1) is PeerState.ALIVE
    assert run(swim, 3, 8) == []
    assert swim.state(1) is PeerState.SUSPECT
    assert run(swim, 8, 30) == [Died(1, 10)]
    assert swim.dead_ranks == (1,)


def test_a_suspect_that_answers_is_alive_again() -> None:
    swim = watch([0, 1])
    run(swim, 1, 6)
    swim.heard(1, 10, 6.0)
    assert swim.state(1) is PeerState.ALIVE
    assert run(swim, 7, 14) == []


def test_helpers_are_asked_while_a_peer_is_suspect_and_a_helper_can_save_it() -> None:
    swim = watch([0, 1, 2, 3])
    asked = []
    for now in range(1, 12):
        for action in swim.tick(float(now)):
            if action == Ping(2) or action == Ping(3):
                swim.heard(action.rank, 10, float(now))
            if isinstance(action, AskHelpers):
                asked.append(action)
                swim.heard(1, 10, float(now))
    assert asked[0] == AskHelpers(1, (2, 3))
    assert swim.state(1) is PeerState.ALIVE


def test_a_dead_peer_that_comes_back_is_reported_again_only_in_a_new_incarnation() -> None:
    swim = watch([0, 1])
    assert run(swim, 1, 10) == [Died(1, 10)]
    swim.heard(1, 10, 10.0)
    assert run(swim, 11, 25) == []
    assert swim.state(1) is PeerState.DEAD
    swim.heard(1, 11, 25.0)
    assert run(swim, 26, 40) == [Died(1, 11)]


def test_signs_of_life_of_an_older_incarnation_do_not_count() -> None:
    swim = watch([0, 1])
    swim.tick(1.0)
    for now in range(2, 12):
        swim.heard(1, 9, float(now))
        swim.tick(float(now))
    assert swim.state(1) is PeerState.DEAD


def test_a_new_map_with_a_new_incarnation_begins_alive() -> None:
    swim = watch([0, 1])
    run(swim, 1, 10)
    swim.set_group({0: 10, 1: 11}, 10.0)
    assert swim.state(1) is PeerState.ALIVE
    swim.set_group({0: 10}, 11.0)
    assert run(swim, 12, 40) == []


def test_each_engine_watches_the_next_living_ranks_of_the_ring() -> None:
    swim = watch([0, 1, 2, 3, 4], me=3)
    assert swim.watched == (4, 0)
    run(swim, 1, 10, {0: 10})
    assert swim.state(4) is PeerState.DEAD
    assert set(swim.watched) == {4, 0, 1}


@given(st.sets(st.integers(0, 40), min_size=2, max_size=20), st.integers(1, 5))
def test_every_rank_is_watched_by_somebody(ranks: set[int], width: int) -> None:
    settings = SwimSettings(watch=width)
    seen: set[int] = set()
    for me in ranks:
        swim = Swim(me, settings, 0.0)
        swim.set_group(dict.fromkeys(ranks, 1), 0.0)
        swim.tick(0.0)
        assert len(swim.watched) <= width
        seen |= set(swim.watched)
    assert seen == ranks


def test_an_engine_that_was_stopped_itself_declares_nobody_dead_for_it() -> None:
    swim = watch([0, 1, 2])
    run(swim, 1, 3, {1: 10, 2: 10})
    assert not any(isinstance(action, Died) for action in swim.tick(500.0))
    assert run(swim, 501, 510, {1: 10, 2: 10}) == []


def test_news_of_a_death_is_believed_of_a_peer_that_is_not_watched() -> None:
    swim = watch([0, 1, 2, 3])
    swim.told_dead([(3, 10, 0.5)], 1.0)
    assert swim.dead_ranks == (3,)
    assert swim.deaths_to_tell(2.0) == [(3, 10, 1.5)]


def test_news_of_a_death_is_not_believed_against_own_ears_or_of_an_older_incarnation() -> None:
    swim = watch([0, 1, 2, 3])
    swim.heard(1, 10, 0.5)
    swim.told_dead([(1, 10, 0.0), (3, 9, 0.0), (99, 1, 0.0)], 1.0)
    assert swim.dead_ranks == ()


def test_news_that_nobody_renews_expires() -> None:
    swim = watch([0, 1, 2, 3])
    swim.told_dead([(3, 10, 0.0)], 1.0)
    run(swim, 2, 10, {1: 10, 2: 10})
    assert swim.dead_ranks == (3,)
    run(swim, 10, 13, {1: 10, 2: 10})
    assert swim.dead_ranks == ()
