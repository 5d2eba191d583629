"""The writer commits in groups, and nobody is answered before the commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError, Fault, SystemUnavailableError
from daos_control.ms.writer import Decide, Writer
from daos_control.system.changes import BumpMapVersion, Change, RemoveMember, SetAttributes
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from fakes_ms import FakeClock, MemoryStore


def put(key: str, value: str = "x") -> Decide[int]:
    """Sets an attribute; the result is how many there were."""

    def decide(db: SystemDatabase, _: datetime) -> Decision[int]:
        return Decision((SetAttributes({key: value}),), len(db.attributes))

    return decide


def refuse(text: str) -> Decide[int]:
    def decide(_: SystemDatabase, __: datetime) -> Decision[int]:
        raise ControlError(text)

    return decide


def look(db: SystemDatabase, _: datetime) -> Decision[int]:
    return Decision((), len(db.attributes))


@asynccontextmanager
async def running(store: MemoryStore, *, limit: int = 1000, batch: int = 100) -> AsyncIterator[Writer]:
    writer = Writer(store, FakeClock(), await store.load(), limit=limit, batch=batch)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        try:
            yield writer
        finally:
            store.gate.set()
            writer.close()


async def first_in_commit(writer: Writer, store: MemoryStore) -> "asyncio.Task[int]":
    """A caller whose commit has begun and is held back by the store's gate."""
    store.gate.clear()
    store.committing.clear()
    first = asyncio.ensure_future(writer.submit(put("first")))
    await store.committing.wait()
    return first


@pytest.mark.asyncio
async def test_everything_that_waits_during_a_commit_shares_the_next_one() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        others = [asyncio.ensure_future(writer.submit(put(f"k{n}"))) for n in range(50)]
        await asyncio.sleep(0)
        store.gate.set()
        assert await first == 0
        assert await asyncio.gather(*others) == list(range(1, 51))
    assert [len(batch) for batch in store.batches] == [1, 50]


@pytest.mark.asyncio
async def test_nobody_is_answered_and_no_reader_sees_anything_before_the_commit_is_durable() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        assert not first.done()
        assert writer.db.attributes == {}
        store.gate.set()
        await first
        assert writer.db.attributes == {"first": "x"}
        assert store.kept.attributes == {"first": "x"}


@pytest.mark.asyncio
async def test_a_decision_that_raises_fails_its_own_caller_only() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        results = asyncio.gather(
            writer.submit(put("a")), writer.submit(refuse("no")), writer.submit(put("b")), return_exceptions=True
        )
        await asyncio.sleep(0)
        store.gate.set()
        await first
        a, no, b = await results
        assert (a, str(no), b) == (1, "no", 2)
        assert len(store.batches) == 2


@pytest.mark.asyncio
async def test_a_decision_whose_changes_break_the_database_takes_no_other_with_it() -> None:
    store = MemoryStore()

    def broken(_: SystemDatabase, __: datetime) -> Decision[None]:
        return Decision((SetAttributes({"half": "done"}), RemoveMember("nobody")), None)

    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        results = asyncio.gather(
            writer.submit(put("a")), writer.submit(broken), writer.submit(put("b")), return_exceptions=True
        )
        await asyncio.sleep(0)
        store.gate.set()
        await first
        a, error, b = await results
        assert isinstance(error, Exception)
        assert (a, b) == (1, 2)
        assert writer.db.attributes == {"first": "x", "a": "x", "b": "x"}
        writer.db.check_invariants()


@pytest.mark.asyncio
async def test_a_failed_commit_fails_the_whole_batch_and_changes_nothing() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        store.errors = [OSError(28, "No space left on device")]
        store.gate.set()
        with pytest.raises(Fault, match="No space left"):
            await first
        assert writer.db.attributes == {}
        assert await writer.submit(put("later")) == 0
        assert writer.db.attributes == {"later": "x"}


@pytest.mark.asyncio
async def test_after_a_failed_commit_that_the_store_kept_the_writer_goes_on_from_what_is_there() -> None:
    store = MemoryStore()
    told: list[int] = []
    async with running(store) as writer:
        writer.subscribe(lambda db, _: told.append(db.version))
        first = await first_in_commit(writer, store)
        store.errors, store.keeps_on_error = [OSError(5, "Input/output error")], True
        store.gate.set()
        with pytest.raises(Fault):
            await first
        assert await writer.submit(put("later")) == 1
        assert writer.db.attributes == {"first": "x", "later": "x"}
    assert told == [1, 2]


@pytest.mark.asyncio
async def test_a_refusal_that_rests_on_an_uncommitted_change_waits_for_it_and_fails_with_it() -> None:
    """Else a caller could be told "label taken" by a pool that never came to be."""
    store = MemoryStore()

    def taken(db: SystemDatabase, _: datetime) -> Decision[None]:
        raise ControlError("taken") if "second" in db.attributes else AssertionError("decided too early")

    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        results = asyncio.gather(writer.submit(put("second")), writer.submit(taken), return_exceptions=True)
        await asyncio.sleep(0)
        store.errors = [None, OSError(28, "full")]
        store.gate.set()
        await first
        for error in await results:
            assert isinstance(error, Fault)
            assert "full" in str(error)


@pytest.mark.asyncio
async def test_a_fenced_writer_never_commits_again() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        await writer.submit(put("mine"))
        store.kept = store.kept.copy()
        store.kept.apply([SetAttributes({"theirs": "x"})])
        for _ in range(3):
            with pytest.raises(SystemUnavailableError):
                await writer.submit(put("again"))
        assert writer.is_fenced
    assert len(store.batches) == 1


@pytest.mark.asyncio
async def test_a_caller_that_leaves_before_its_turn_changes_nothing() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        left = asyncio.ensure_future(writer.submit(put("left")))
        stays = asyncio.ensure_future(writer.submit(put("stays")))
        await asyncio.sleep(0)
        left.cancel()
        store.gate.set()
        await first
        assert await stays == 1
        assert set(writer.db.attributes) == {"first", "stays"}


@pytest.mark.asyncio
async def test_the_change_of_a_caller_that_leaves_during_the_commit_stands() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        first.cancel()
        store.gate.set()
        assert await writer.submit(look) == 1
        assert writer.db.attributes == {"first": "x"}


@pytest.mark.asyncio
async def test_a_decision_without_changes_costs_no_commit() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        assert await writer.submit(look) == 0
    assert store.batches == []


@pytest.mark.asyncio
async def test_a_full_queue_refuses_with_an_error_that_clients_retry() -> None:
    store = MemoryStore()
    async with running(store, limit=3) as writer:
        first = await first_in_commit(writer, store)
        waiting = [asyncio.ensure_future(writer.submit(put(f"k{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(SystemUnavailableError, match="raft service unavailable"):
            await writer.submit(put("too much"))
        store.gate.set()
        await asyncio.gather(first, *waiting)


@pytest.mark.asyncio
async def test_close_serves_who_waits_and_refuses_who_comes() -> None:
    store = MemoryStore()
    async with running(store) as writer:
        first = await first_in_commit(writer, store)
        waiting = asyncio.ensure_future(writer.submit(put("waiting")))
        await asyncio.sleep(0)
        writer.close()
        with pytest.raises(SystemUnavailableError):
            await writer.submit(put("late"))
        store.gate.set()
        assert [await first, await waiting] == [0, 1]


@pytest.mark.asyncio
async def test_a_killed_writer_leaves_no_caller_without_an_answer() -> None:
    store = MemoryStore()
    writer = Writer(store, FakeClock(), await store.load())
    run = asyncio.create_task(writer.run())
    first = await first_in_commit(writer, store)
    second = asyncio.ensure_future(writer.submit(put("second")))
    await asyncio.sleep(0)
    run.cancel()
    for waiting in (first, second):
        with pytest.raises(SystemUnavailableError):
            await waiting
    await asyncio.wait({run})


@pytest.mark.asyncio
async def test_subscribers_hear_of_every_commit_once_and_of_each_other_s_failures_nothing() -> None:
    store = MemoryStore()
    heard: list[tuple[int, tuple[Change, ...]]] = []

    def hear(db: SystemDatabase, changes: Sequence[Change]) -> None:
        heard.append((db.map_version, tuple(changes)))

    def fail(_: SystemDatabase, __: Sequence[Change]) -> None:
        raise RuntimeError("broken subscriber")

    async with running(store) as writer:
        writer.subscribe(fail)
        writer.subscribe(hear)
        await writer.submit(lambda _db, _now: Decision((BumpMapVersion(),), None))
        await writer.submit(look)
    assert heard == [(1, (BumpMapVersion(),))]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "1", "2", "!"])), max_size=30),
    st.integers(1, 7),
)
def test_grouping_changes_no_outcome(steps: list[tuple[str, str]], batch: int) -> None:
    """Whatever is grouped, each caller gets what it would have got alone and in order ("!" is refused)."""

    def step(key: str, value: str) -> Decide[tuple[str, ...]]:
        def decide(db: SystemDatabase, _: datetime) -> Decision[tuple[str, ...]]:
            if value == "!":
                raise ControlError(str(sorted(db.attributes.items())))
            return Decision((SetAttributes({key: value}),), tuple(sorted(db.attributes)))

        return decide

    async def outcome(size: int, at_once: bool) -> tuple[list[object], dict[str, str], int]:
        store = MemoryStore()
        async with running(store, batch=size) as writer:
            if at_once:
                results = await asyncio.gather(*(writer.submit(step(*s)) for s in steps), return_exceptions=True)
            else:
                results = [
                    (await asyncio.gather(writer.submit(step(*s)), return_exceptions=True))[0] for s in steps
                ]
        told: list[object] = [str(r) if isinstance(r, Exception) else r for r in results]
        return told, store.kept.attributes, store.kept.version

    assert asyncio.run(outcome(batch, True)) == asyncio.run(outcome(1, False))
