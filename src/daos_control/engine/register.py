"""A value kept on several ranks that survives the loss of a minority of them: the state of a pool's service.

Each change is one round of CASPaxos (Rystsov 2018), a Paxos register whose every round carries the whole value.
A proposer first has a majority promise its ballot, and learns the latest value any of them accepted; it applies
the change to that value, and has a majority accept the result. There is no leader to elect: any replica may
propose, and ballots decide. A change is done when a majority holds it durably.

Invariant: once a value is accepted by a majority, every later ballot's value is made from it or from a successor,
because any two majorities share a replica, and a replica accepts nothing below its promise.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

Value = dict[str, Any]

ATTEMPTS_MAX = 20
_GRACE_SECONDS = 0.25


@dataclass(frozen=True, slots=True, order=True)
class Ballot:
    """Ordered by number, then by the rank that proposes."""

    number: int
    rank: int

    def to_json(self) -> list[int]:
        return [self.number, self.rank]

    @classmethod
    def from_json(cls, value: Sequence[int]) -> "Ballot":
        return cls(int(value[0]), int(value[1]))


ZERO = Ballot(0, 0)


@dataclass(frozen=True, slots=True)
class Replica:
    """What one rank holds; a change of it must be durable before it is answered."""

    promised: Ballot = ZERO
    accepted: Ballot = ZERO
    value: Value | None = None

    def promise(self, ballot: Ballot) -> "Replica | None":
        """The state after promising `ballot`; None where a higher one has been promised."""
        if ballot <= self.promised or ballot <= self.accepted:
            return None
        return Replica(ballot, self.accepted, self.value)

    def accept(self, ballot: Ballot, value: Value) -> "Replica | None":
        """The state after accepting; None where a higher ballot has been promised."""
        if ballot < self.promised or ballot < self.accepted:
            return None
        return Replica(ballot, ballot, value)

    def to_json(self) -> dict[str, Any]:
        return {"promised": self.promised.to_json(), "accepted": self.accepted.to_json(), "value": self.value}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Replica":
        return cls(Ballot.from_json(value["promised"]), Ballot.from_json(value["accepted"]), value["value"])


@dataclass(frozen=True, slots=True)
class Answer:
    """A replica's answer: whether it did as asked, and what it holds now."""

    granted: bool
    replica: Replica


class Replicas(Protocol):
    """The replicas, as a proposer reaches them. Calls may raise DaosError: UNREACH, or NONEXIST for no replica."""

    def read(self, rank: int) -> Coroutine[Any, Any, Answer]: ...
    def prepare(self, rank: int, ballot: Ballot) -> Coroutine[Any, Any, Answer]: ...
    def accept(self, rank: int, ballot: Ballot, value: Value) -> Coroutine[Any, Any, Answer]: ...


class Register:
    """Proposer for one register on `ranks`, speaking as rank `me`."""

    def __init__(
        self, replicas: Replicas, ranks: Sequence[int], me: int, chance: random.Random | None = None
    ) -> None:
        self._replicas = replicas
        self._ranks = tuple(ranks)
        self._me = me
        self._majority = len(self._ranks) // 2 + 1
        self._chance = chance or random.Random()

    async def create(self, value: Value) -> None:
        """Store the first value on every replica. Raises DaosError where one of them cannot take it."""
        ballot = Ballot(1, self._me)
        answers = await asyncio.gather(
            *(self._replicas.accept(rank, ballot, value) for rank in self._ranks), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            if not answer.granted:
                raise DaosError(Status.EXIST, "the register has a value already")

    async def read(self) -> Value:
        """The latest value. Writes nothing where a majority already agrees on it.

        Raises DaosError NONEXIST where a majority has no such register, NO_SERVICE where no majority answers.
        """
        answers = await self._ask(self._replicas.read(rank) for rank in self._ranks)
        newest = max(answers, key=lambda answer: answer.replica.accepted).replica
        agreeing = sum(answer.replica.accepted == newest.accepted for answer in answers)
        if newest.value is not None and agreeing >= self._majority:
            return newest.value
        return await self.change(lambda value: value)

    async def change(self, decide: Callable[[Value], Value]) -> Value:
        """Replace the value by `decide(value)`, which may be called again on a newer one and may raise.

        Raises what `decide` raises, DaosError as `read`, AGAIN where others kept winning.
        """
        number = _highest(await self._ask(self._replicas.read(rank) for rank in self._ranks))
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                # Two proposers that retry in step could beat each other for ever.
                await asyncio.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))
            ballot = Ballot(number + 1, self._me)
            answers = await self._ask(self._replicas.prepare(rank, ballot) for rank in self._ranks)
            number = max(number, _highest(answers))
            granted = [answer for answer in answers if answer.granted]
            if len(granted) < self._majority:
                continue
            newest = max(granted, key=lambda answer: answer.replica.accepted).replica
            if newest.value is None:
                raise DaosError(Status.NONEXIST, "the register was never given a value")
            value = decide(newest.value)
            answers = await self._ask(self._replicas.accept(rank, ballot, value) for rank in self._ranks)
            if sum(answer.granted for answer in answers) >= self._majority:
                return value
            number = max(number, _highest(answers))
        raise DaosError(Status.AGAIN, "other changes of the pool's service kept coming first")

    async def _ask(self, calls: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
        """The answers of a majority or more; who is slower than the others by more than a grace is left behind.

        Raises DaosError where there is no majority.
        """
        waiting = {asyncio.ensure_future(call) for call in calls}
        done: set[asyncio.Future[Answer]] = set()
        try:
            while waiting:
                enough = sum(future.exception() is None for future in done) >= self._majority
                fresh, waiting = await asyncio.wait(
                    waiting, timeout=_GRACE_SECONDS if enough else None, return_when=asyncio.FIRST_COMPLETED
                )
                if not fresh:
                    break
                done |= fresh
        finally:
            for future in waiting:
                future.cancel()
        return self._checked([future.exception() or future.result() for future in done])

    def _checked(self, answers: list[Answer | BaseException]) -> list[Answer]:
        """The answers of a majority. Raises DaosError where there is none."""
        found = [answer for answer in answers if isinstance(answer, Answer)]
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, DaosError):
                raise answer
        if len(found) >= self._majority:
            return found
        absent = sum(isinstance(a, DaosError) and a.status == Status.NONEXIST for a in answers)
        if absent >= self._majority:
            raise DaosError(Status.NONEXIST, "no such pool")
        raise DaosError(
            Status.NO_SERVICE, f"{len(found)} of {len(self._ranks)} replicas of the pool's service answer"
        )


def _highest(answers: Iterable[Answer]) -> int:
    return max(max(answer.replica.promised.number, answer.replica.accepted.number) for answer in answers)
