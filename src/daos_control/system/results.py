"""What an operation did to each rank, and how the answers of many hosts become one list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState


@dataclass(frozen=True, slots=True)
class RankResult:
    """The outcome for one rank: `state` is what it is in now, `message` why, `address` its host's "ip:port"."""

    rank: int
    action: str
    state: MemberState
    errored: bool = False
    message: str = ""
    address: str = ""


def failed(
    rank: int, action: str, message: str, state: MemberState = MemberState.ERRORED, address: str = ""
) -> RankResult:
    """A failure. Its state is ERRORED, or UNRESPONSIVE where the host did not answer; any other becomes ERRORED."""
    if state is not MemberState.UNRESPONSIVE:
        state = MemberState.ERRORED
    return RankResult(rank, action, state, errored=True, message=message, address=address)


def collect(
    asked: Mapping[str, RankSet], answers: Mapping[str, Sequence[RankResult] | Exception], action: str
) -> tuple[RankResult, ...]:
    """One result for every rank that was asked for, in the order of ranks.

    `asked` are the ranks by address of their host, `answers` what each host said or how asking it failed. A host
    that failed, or said nothing of a rank, leaves it UNRESPONSIVE; a rank that nobody asked for is dropped, and of
    several results of one rank the first counts.
    """
    results: dict[int, RankResult] = {}
    for address, ranks in asked.items():
        answer = answers.get(address)
        if answer is None or isinstance(answer, Exception):
            reason = "no answer from its host" if answer is None else str(answer) or type(answer).__name__
            said: dict[int, RankResult] = {}
        else:
            reason = "its host did not report on it"
            said = {}
            for result in answer:
                said.setdefault(result.rank, result)
        for rank in ranks:
            known = said.get(rank)
            if known is None:
                known = failed(rank, action, reason, MemberState.UNRESPONSIVE)
            results.setdefault(rank, replace(known, action=action, address=known.address or address))
    return tuple(results[rank] for rank in sorted(results))


def merge(*lists: Iterable[RankResult]) -> tuple[RankResult, ...]:
    """All lists in one, in the order of ranks; of several results of one rank the first counts."""
    results: dict[int, RankResult] = {}
    for result in (r for results_of_one in lists for r in results_of_one):
        results.setdefault(result.rank, result)
    return tuple(results[rank] for rank in sorted(results))


def failures(results: Iterable[RankResult]) -> str:
    """ "failed rank 3", "failed ranks 1-2,5", or "" where all went well."""
    ranks = RankSet(r.rank for r in results if r.errored)
    if not ranks:
        return ""
    return f"failed {'rank' if len(ranks) == 1 else 'ranks'} {ranks}"
