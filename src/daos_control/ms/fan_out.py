"""One operation on many ranks at once, through the servers of their hosts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from daos_control.faults import ControlError, DaosError, Fault
from daos_control.ms.calls import Call
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.system.membership import decide_states, ranks_by_address
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult, collect

log = logging.getLogger(__name__)

Operation = Callable[[str, RankSet, float], Awaitable[Sequence[RankResult]]]
"""Asks the server at an address to do something to its ranks, within that many seconds."""

_RESERVE_S = 0.5  # left of the caller's time for recording what came out


class FanOut:
    """Asks hosts side by side, a bounded number at a time, and records what became of the ranks.

    Whatever the hosts do, there is exactly one result for each rank, by the caller's deadline: the ranks of a host
    that fails or says nothing are UNRESPONSIVE.
    """

    def __init__(self, settings: MsSettings, session: Session) -> None:
        self._limit = settings.limits.fan_out
        self._session = session

    async def run(
        self, operation: Operation, ranks: RankSet, call: Call, *, action: str, update: bool = True
    ) -> tuple[RankResult, ...]:
        """One result per rank of `ranks`, in order; recorded as the members' states where `update` says so."""
        asked = ranks_by_address(self._session.db, ranks)
        answers = await self._ask(operation, asked, call)
        results = collect(asked, answers, action)
        if not update or not results:
            return results
        return await self._session.submit(lambda db, now: decide_states(db, results, now, update_on_failure=True))

    async def _ask(
        self, operation: Operation, asked: dict[str, RankSet], call: Call
    ) -> dict[str, Sequence[RankResult] | Exception]:
        slots = asyncio.Semaphore(self._limit)
        answers: dict[str, Sequence[RankResult] | Exception] = {}

        async def ask(address: str, ranks: RankSet) -> None:
            try:
                async with asyncio.timeout(max(0.0, call.remaining_s - _RESERVE_S)), slots:
                    answers[address] = await operation(address, ranks, max(0.0, call.remaining_s - _RESERVE_S))
            except TimeoutError:
                answers[address] = TimeoutError(f"no answer from {address} in time")
            except (Fault, ControlError, DaosError, OSError) as error:
                answers[address] = error
            except Exception as error:
                log.exception("asking %s failed", address)
                answers[address] = error

        async with asyncio.TaskGroup() as tasks:
            for address, ranks in asked.items():
                tasks.create_task(ask(address, ranks))
        return answers
