"""Results of ranks: one for each that was asked for."""

from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult, collect, failed, failures, merge
from daos_control.system.state import MemberState

S = MemberState
ASKED = {"a:1": RankSet([0, 1]), "b:1": RankSet([2]), "c:1": RankSet([3])}


def test_every_rank_that_was_asked_for_has_exactly_one_result() -> None:
    answers = {
        "a:1": [
            RankResult(1, "whatever", S.STOPPED),
            RankResult(1, "whatever", S.ERRORED, errored=True),
            RankResult(77, "whatever", S.STOPPED),
        ],
        "b:1": TimeoutError("too late"),
    }
    results = collect(ASKED, answers, "stop")
    assert results == (
        failed(0, "stop", "its host did not report on it", S.UNRESPONSIVE, "a:1"),
        RankResult(1, "stop", S.STOPPED, address="a:1"),
        failed(2, "stop", "too late", S.UNRESPONSIVE, "b:1"),
        failed(3, "stop", "no answer from its host", S.UNRESPONSIVE, "c:1"),
    )


def test_an_error_without_words_is_named_by_its_kind() -> None:
    (result,) = collect({"b:1": RankSet([2])}, {"b:1": TimeoutError()}, "stop")
    assert result.message == "TimeoutError"


def test_any_failure_is_errored_or_unresponsive() -> None:
    assert {failed(0, "x", "why", state).state for state in MemberState} == {S.ERRORED, S.UNRESPONSIVE}


def test_the_first_result_of_a_rank_counts() -> None:
    first, second, other = RankResult(1, "a", S.STOPPED), RankResult(1, "b", S.JOINED), RankResult(0, "b", S.JOINED)
    assert merge([first], [second, other]) == (other, first)


def test_failures_are_told_by_their_ranks() -> None:
    ok = RankResult(9, "x", S.STOPPED)
    assert failures([ok]) == ""
    assert failures([ok, failed(3, "x", "")]) == "failed rank 3"
    assert failures([failed(r, "x", "") for r in (2, 1, 5)]) == "failed ranks 1-2,5"
