"""The SQLite store: what was committed is there, what cannot be trusted is refused with a reason."""

# ruff: noqa: ASYNC240 (nothing else runs on a test's loop)

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from daos_control.store.interface import FencedError, StoreError, UnusableDatabaseError
from daos_control.store.sqlite import FORMAT, SqliteStore
from daos_control.system.changes import (
    BumpMapVersion,
    Change,
    PutMember,
    PutPool,
    RemoveMember,
    RemovePool,
    SetAttributes,
    SetNextRank,
)
from daos_control.system.database import SystemDatabase
from daos_control.system.state import MemberState
from unit.system.builders import member, pool


def parts(db: SystemDatabase) -> dict[str, object]:
    names = ("members", "ranks", "pools", "attributes", "domain_numbers", "next_rank", "map_version", "version")
    return {name: getattr(db, name) for name in names}


async def commit(store: SqliteStore, base: SystemDatabase, *changes: Change) -> SystemDatabase:
    result = base.copy()
    result.apply(changes)
    await store.commit(changes, base=base, result=result)
    return result


async def stored(path: Path) -> dict[str, object]:
    """What another process would find in the file."""
    store = SqliteStore(path)
    try:
        return parts(await store.load())
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control_raft" / "system.db"


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path)
    yield made
    await made.close()


FIRST: Sequence[Change] = (
    PutMember(member(0)),
    PutMember(member(1, incarnation=(1 << 64) - 1)),
    SetNextRank(2),
    PutPool(pool(1)),
    SetAttributes({"foo": "bär", "gone": "x"}),
)


@pytest.mark.asyncio
async def test_a_new_store_is_empty_and_private_to_its_group(store: SqliteStore, path: Path) -> None:
    assert parts(await store.load()) == parts(SystemDatabase())
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o770
    assert [p.name for p in path.parent.iterdir() if "new" in p.name] == []


@pytest.mark.asyncio
async def test_every_kind_of_change_is_kept(store: SqliteStore, path: Path) -> None:
    db = await commit(store, await store.load(), *FIRST)
    assert await stored(path) == parts(db)
    db = await commit(
        store,
        db,
        RemoveMember(member(0).uuid),
        PutMember(member(7)),
        RemovePool(pool(1).uuid),
        PutPool(pool(2)),
        PutPool(pool(3)),
        RemovePool(pool(3).uuid),
        SetAttributes({"gone": "", "new": "1"}),
        BumpMapVersion(),
    )
    assert await stored(path) == parts(db)
    assert sorted(db.ranks) == [1, 7]


@pytest.mark.asyncio
async def test_a_replaced_member_is_kept_under_its_new_uuid(store: SqliteStore, path: Path) -> None:
    db = await commit(store, await store.load(), *FIRST)
    db = await commit(store, db, RemoveMember(member(0).uuid), PutMember(member(0, number=99)))
    assert await stored(path) == parts(db)


@pytest.mark.asyncio
async def test_a_commit_writes_only_the_rows_it_touches(store: SqliteStore, path: Path) -> None:
    db = await commit(store, await store.load(), *(PutMember(member(rank)) for rank in range(200)))
    written: list[str] = []
    connection = store._connection
    assert connection is not None
    await asyncio.get_running_loop().run_in_executor(store._executor, connection.set_trace_callback, written.append)
    await commit(store, db, PutMember(member(7, state=MemberState.STOPPED)))
    statements = [s for s in written if s.startswith(("INSERT", "DELETE", "UPDATE"))]
    assert len(statements) == 2, "one member and the header"


@pytest.mark.asyncio
async def test_each_commit_is_synced_to_the_disk(store: SqliteStore) -> None:
    await store.load()
    connection = store._connection
    assert connection is not None

    def settings() -> tuple[object, ...]:
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode"))

    full = 2
    assert await asyncio.get_running_loop().run_in_executor(store._executor, settings) == (full, "wal")


@pytest.mark.asyncio
async def test_a_writer_that_was_overtaken_is_fenced_off(store: SqliteStore, path: Path) -> None:
    mine = await store.load()
    other = SqliteStore(path)
    theirs = await commit(other, await other.load(), *FIRST)
    with pytest.raises(FencedError):
        await commit(store, mine, PutMember(member(3)))
    theirs = await commit(other, theirs, BumpMapVersion())  # and holds up nobody
    await other.close()
    assert await stored(path) == parts(theirs)
    again = await commit(store, await store.load(), PutMember(member(3)))
    assert await stored(path) == parts(again)


@pytest.mark.asyncio
async def test_a_commit_that_does_not_lead_to_its_result_is_a_mistake_of_the_caller(store: SqliteStore) -> None:
    base = await store.load()
    with pytest.raises(ValueError, match="do not lead"):
        await store.commit(FIRST, base=base, result=base)


@pytest.mark.asyncio
async def test_a_commit_before_the_first_load_is_refused(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="not been read"):
        await commit(store, SystemDatabase(), *FIRST)


@pytest.mark.asyncio
async def test_a_commit_ends_although_its_caller_is_cancelled(store: SqliteStore, path: Path) -> None:
    base = await store.load()
    task = asyncio.ensure_future(commit(store, base, *FIRST))
    await asyncio.sleep(0)  # let it begin
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await stored(path))["version"] == len(FIRST)


@pytest.mark.asyncio
async def test_erasing_leaves_nothing_and_a_new_beginning(store: SqliteStore, path: Path) -> None:
    await commit(store, await store.load(), *FIRST)
    await store.erase()
    assert list(path.parent.iterdir()) == []
    await store.erase()
    assert (await store.load()).version == 0


@pytest.mark.asyncio
async def test_closing_twice_is_harmless(path: Path) -> None:
    store = SqliteStore(path)
    await store.load()
    await store.close()
    await store.close()
    assert {p.name for p in path.parent.iterdir()} == {path.name}


@pytest.mark.asyncio
async def test_a_directory_that_lacks_more_than_its_last_part_is_not_made(tmp_path: Path) -> None:
    """The control metadata may not be mounted: nothing must be put where it will be mounted later."""
    store = SqliteStore(tmp_path / "not" / "mounted" / "system.db")
    with pytest.raises(StoreError, match="cannot read") as caught:
        await store.load()
    assert caught.value.errno == 2
    await store.close()


# Files that cannot be trusted.


async def verdict(path: Path) -> UnusableDatabaseError:
    store = SqliteStore(path)
    try:
        with pytest.raises(UnusableDatabaseError) as caught:
            await store.load()
    finally:
        await store.close()
    assert str(path) in caught.value.description
    assert caught.value.resolution
    return caught.value


@pytest_asyncio.fixture
async def filled(store: SqliteStore, path: Path) -> Path:
    """A closed database file with some content."""
    db = await commit(store, await store.load(), *FIRST)
    await commit(store, db, *(PutMember(member(rank, info="x" * 500)) for rank in range(2, 60)))
    await store.close()
    return path


def change_file(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("PRAGMA application_id = 7", "is not a system database"),
        (f"PRAGMA user_version = {FORMAT + 1}", f"has format {FORMAT + 1}"),
        ("PRAGMA user_version = 0", "format 0, which never existed"),
        ("DELETE FROM header", "its header is missing"),
        ("DROP TABLE pools", "no such table"),
        ("DELETE FROM members WHERE key LIKE '%1'", "there are"),
        ("INSERT INTO attributes VALUES ('a', 'b', 0)", "checksum of 'a' in attributes"),
        ("UPDATE members SET record = replace(record, 'joined', 'ready')", "checksum"),
        ("UPDATE members SET key = 'x' WHERE key LIKE '%01'", "checksum"),
        ("UPDATE fault_domains SET record = '2'", "checksum"),
        ("UPDATE header SET record = replace(record, '\"version\":', '\"version\":1')", "checksum"),
        ("UPDATE attributes SET record = CAST(x'ff' AS TEXT)", "checksum"),
    ],
)
async def test_a_database_with_wrong_content_is_refused(filled: Path, statement: str, words: str) -> None:
    change_file(filled, statement)
    store = SqliteStore(filled)
    with pytest.raises(UnusableDatabaseError) as caught:
        await store.load()
    await store.close()
    assert words in caught.value.description


@pytest.mark.asyncio
async def test_a_foreign_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    for content in (b"precious data of somebody else\n" * 100, b"x"):
        path.write_bytes(content)
        assert "not a system database" in (await verdict(path)).description
        assert path.read_bytes() == content


@pytest.mark.asyncio
async def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    change_file(path, "CREATE TABLE precious (data)")
    before = path.read_bytes()
    assert "not a system database" in (await verdict(path)).description
    assert path.read_bytes() == before


@pytest.mark.asyncio
async def test_an_empty_file_is_damage_and_not_a_new_system(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert "it is empty" in (await verdict(path)).description


@pytest.mark.asyncio
async def test_a_log_without_its_database_is_damage_and_not_a_new_system(filled: Path) -> None:
    filled.rename(filled.with_name(filled.name + "-wal"))
    assert "is missing, but" in (await verdict(filled)).description


@pytest.mark.asyncio
async def test_a_cut_file_is_damage(filled: Path) -> None:
    content = filled.read_bytes()
    for keep in (len(content) // 2, 4096, 5000, 512):
        filled.write_bytes(content[:keep])
        await verdict(filled)


@pytest.mark.asyncio
async def test_any_flipped_bit_is_noticed_or_without_effect(filled: Path) -> None:
    """Unused bytes of a page may change; what is read never differs silently."""
    expected = await stored(filled)
    content = filled.read_bytes()
    noticed = 0
    for position in range(0, len(content), 997):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        filled.write_bytes(damaged)
        for companion in ("-wal", "-shm"):
            filled.with_name(filled.name + companion).unlink(missing_ok=True)
        try:
            found = await stored(filled)
        except StoreError:
            noticed += 1
        else:
            assert found == expected, f"the byte at {position} changed what is read"
    assert noticed > 0


@pytest.mark.asyncio
async def test_damage_found_while_committing_is_told_as_such(store: SqliteStore, path: Path) -> None:
    base = await store.load()
    change_file(path, "DELETE FROM header")
    with pytest.raises(UnusableDatabaseError, match="header is missing"):
        await commit(store, base, *FIRST)


@pytest.mark.asyncio
async def test_a_database_that_another_process_keeps_locked_is_an_error_that_passes(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daos_control.store.sqlite._BUSY_S", 0.05)
    base = await store.load()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="busy"):
        await commit(store, base, *FIRST)
    other.execute("ROLLBACK")
    other.close()
    db = await commit(store, base, *FIRST)
    assert await stored(path) == parts(db)


@pytest.mark.asyncio
async def test_the_loop_runs_while_the_disk_works(store: SqliteStore, path: Path) -> None:
    """A lock held by another process makes a commit wait; the loop goes on meanwhile and releases it."""
    base = await store.load()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.ensure_future(commit(store, base, *FIRST))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    other.execute("ROLLBACK")
    other.close()
    assert parts(await task) == await stored(path)
