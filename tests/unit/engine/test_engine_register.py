"""The replicated register: no change that was answered is lost, whatever replicas fail."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from daos_control.engine.register import ZERO, Answer, Ballot, Register, Replica, Value
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status


class Shelf:
    """Replicas in memory. `unreachable` ranks fail; with `chance`, calls are lost before or after their effect."""

    def __init__(self, ranks: tuple[int, ...], chance: random.Random | None = None, loss: float = 0.0) -> None:
        self.held = {rank: Replica() for rank in ranks}
        self.unreachable: set[int] = set()
        self.chance = chance or random.Random(0)
        self.loss = loss

    async def _reach(self, rank: int) -> None:
        await asyncio.sleep(0)
        if rank in self.unreachable or self.chance.random() < self.loss:
            raise DaosError(Status.UNREACH)

    async def _step(self, rank: int, following: Any) -> Answer:
        await self._reach(rank)
        changed = following(self.held[rank])
        if changed is not None:
            self.held[rank] = changed
        answer = Answer(changed is not None, self.held[rank])
        await self._reach(rank)
        return answer

    def read(self, rank: int) -> Coroutine[Any, Any, Answer]:
        return self._step(rank, lambda replica: replica)

    def prepare(self, rank: int, ballot: Ballot) -> Coroutine[Any, Any, Answer]:
        return self._step(rank, lambda replica: replica.promise(ballot))

    def accept(self, rank: int, ballot: Ballot, value: Value) -> Coroutine[Any, Any, Answer]:
        return self._step(rank, lambda replica: replica.accept(ballot, value))


RANKS = (0, 1, 2)


def add(member: int) -> Any:
    return lambda value: {"members": sorted({*value["members"], member})}


def test_promises_and_acceptances_follow_the_rules_of_paxos() -> None:
    fresh = Replica()
    low, high = Ballot(1, 0), Ballot(1, 1)
    promised = fresh.promise(high)
    assert promised == Replica(high, ZERO, None)
    assert promised.promise(high) is None
    assert promised.promise(low) is None
    assert promised.accept(low, {}) is None
    accepted = promised.accept(high, {"a": 1})
    assert accepted == Replica(high, high, {"a": 1})
    assert Replica.from_json(accepted.to_json()) == accepted


@pytest.mark.asyncio
async def test_a_value_is_created_changed_and_read() -> None:
    shelf = Shelf(RANKS)
    register = Register(shelf, RANKS, 0)
    await register.create({"members": []})
    assert await Register(shelf, RANKS, 2).change(add(5)) == {"members": [5]}
    assert await register.read() == {"members": [5]}


@pytest.mark.asyncio
async def test_reading_what_a_majority_agrees_on_writes_nothing() -> None:
    shelf = Shelf(RANKS)
    await Register(shelf, RANKS, 0).create({"members": []})
    before = dict(shelf.held)
    shelf.unreachable = {1}
    await Register(shelf, RANKS, 2).read()
    assert shelf.held == before


@pytest.mark.asyncio
async def test_a_change_outlives_the_loss_of_a_minority() -> None:
    shelf = Shelf(RANKS)
    register = Register(shelf, RANKS, 0)
    await register.create({"members": []})
    shelf.unreachable = {1}
    await register.change(add(1))
    shelf.unreachable = {2}
    assert await Register(shelf, RANKS, 1).read() == {"members": [1]}
    assert await Register(shelf, RANKS, 1).change(add(2)) == {"members": [1, 2]}


@pytest.mark.asyncio
async def test_without_a_majority_there_is_no_service() -> None:
    shelf = Shelf(RANKS)
    register = Register(shelf, RANKS, 0)
    await register.create({"members": []})
    shelf.unreachable = {1, 2}
    for call in (register.read(), register.change(add(1))):
        with pytest.raises(DaosError) as caught:
            await call
        assert caught.value.status == Status.NO_SERVICE


@pytest.mark.asyncio
async def test_a_register_that_was_never_created_does_not_exist() -> None:
    with pytest.raises(DaosError) as caught:
        await Register(Shelf(RANKS), RANKS, 0).read()
    assert caught.value.status == Status.NONEXIST


@pytest.mark.asyncio
async def test_creation_needs_every_replica() -> None:
    shelf = Shelf(RANKS)
    shelf.unreachable = {2}
    with pytest.raises(DaosError) as caught:
        await Register(shelf, RANKS, 0).create({"members": []})
    assert caught.value.status == Status.UNREACH


@pytest.mark.asyncio
async def test_a_refused_change_changes_nothing() -> None:
    shelf = Shelf(RANKS)
    register = Register(shelf, RANKS, 0)
    await register.create({"members": []})

    def refuse(value: Value) -> Value:
        raise DaosError(Status.INVAL)

    with pytest.raises(DaosError):
        await register.change(refuse)
    assert await register.read() == {"members": []}


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(40))
async def test_no_answered_change_is_lost_when_calls_get_lost_and_proposers_compete(seed: int) -> None:
    shelf = Shelf(RANKS, random.Random(seed))
    await Register(shelf, RANKS, 0).create({"members": []})
    shelf.loss = 0.15
    answered: set[int] = set()

    async def propose(me: int) -> None:
        for step in range(4):
            member = 10 * step + me
            try:
                found = await Register(shelf, RANKS, me).change(add(member))
            except DaosError:
                continue
            assert member in found["members"]
            answered.add(member)

    await asyncio.gather(*(propose(me) for me in RANKS))
    shelf.loss = 0.0
    final = await Register(shelf, RANKS, 1).read()
    assert answered <= set(final["members"])
