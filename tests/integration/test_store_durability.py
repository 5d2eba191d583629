"""The store under real failures: a killed process, a full disk, a file system that turned read-only."""

import asyncio
import errno
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daos_control.store.interface import StoreError
from daos_control.store.sqlite import SqliteStore
from daos_control.system.changes import Change, PutMember, PutPool, SetAttributes
from daos_control.system.database import SystemDatabase
from unit.system.builders import member, pool

DEADLINE_S = 30.0

WRITER = """
import asyncio, sys
from pathlib import Path
from unit.system.builders import member, pool
from daos_control.store.sqlite import SqliteStore
from daos_control.system.changes import PutMember, PutPool, SetAttributes

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    db = await store.load()
    print("loaded", len(db.members), flush=True)
    while True:
        number = len(db.members)
        changes = [
            PutMember(member(number, info="x" * 3000)),
            PutPool(pool(number, label=f"pool{number}")),
            SetAttributes({"count": str(number + 1)}),
        ]
        result = db.copy()
        result.apply(changes)
        await store.commit(changes, base=db, result=result)
        db = result
        print(len(db.members), flush=True)

asyncio.run(main())
"""
CHANGES_PER_COMMIT = 3


@pytest.fixture
def start_writer() -> Iterator[Callable[[Path], "subprocess.Popen[bytes]"]]:
    """Starts processes that commit for ever; whatever the test does, none is left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(path: Path) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: "subprocess.Popen[bytes]", enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    """The lines that the process wrote, once there are enough of them, or it has ended."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    data, limit = b"", time.monotonic() + DEADLINE_S
    while not enough(data.split(b"\n")[:-1]):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, limit - time.monotonic()))
        assert ready, "the writer is stuck"
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            break
        data += chunk
    return data.split(b"\n")[:-1]


def load(path: Path) -> SystemDatabase:
    async def run() -> SystemDatabase:
        store = SqliteStore(path)
        try:
            return await store.load()
        finally:
            await store.close()

    return asyncio.run(run())


def check_whole(db: SystemDatabase) -> int:
    """That each commit is there entirely or not at all; how many are."""
    db.check_invariants()
    count = len(db.members)
    assert db.version == count * CHANGES_PER_COMMIT
    assert len(db.pools) == count
    assert db.attributes.get("count", "0") == str(count)
    assert sorted(db.ranks) == list(range(count))
    assert db.map_version == count
    return count


def test_a_process_killed_at_any_moment_loses_nothing_it_acknowledged(
    tmp_path: Path, start_writer: Callable[[Path], "subprocess.Popen[bytes]"]
) -> None:
    path = tmp_path / "system.db"
    chance = random.Random(20261123)
    stored = 0
    for _ in range(6):
        process = start_writer(path)
        wanted = chance.randrange(1, 60)
        lines = read_until(process, lambda seen, wanted=wanted: len(seen) > wanted)
        time.sleep(chance.random() * 0.003)  # a moment somewhere within a commit; nothing waits for it
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines += read_until(process, lambda _seen: False)
        assert lines[0] == f"loaded {stored}".encode()
        acknowledged = int(lines[-1])
        found = check_whole(load(path))
        assert acknowledged <= found <= acknowledged + 1, "at most the commit under way may be there besides"
        stored = found
    assert stored > 6


def test_a_process_killed_while_it_makes_the_file_leaves_none_or_a_good_one(
    tmp_path: Path, start_writer: Callable[[Path], "subprocess.Popen[bytes]"]
) -> None:
    chance = random.Random(4711)
    for attempt in range(4):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        path = directory / "system.db"
        process = start_writer(path)
        limit = time.monotonic() + DEADLINE_S
        while not any(directory.iterdir()) and time.monotonic() < limit:
            time.sleep(0.0005)  # until the first trace of the file is there
        time.sleep(chance.random() * 0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_whole(load(path))
        assert not path.with_name("system.db.new").exists()


class Mounted:
    """A small file system of its own."""

    def __init__(self, path: Path, size: str) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)

    def remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.path)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Mounted]:
    mounted = Mounted(tmp_path / "disk", "512k")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted.path)], check=True)


async def commit(store: SqliteStore, base: SystemDatabase, *changes: Change) -> SystemDatabase:
    result = base.copy()
    result.apply(changes)
    await store.commit(changes, base=base, result=result)
    return result


@pytest.mark.root
@pytest.mark.asyncio
async def test_a_full_disk_fails_the_commit_and_the_next_one_works(small_disk: Mounted) -> None:
    store = SqliteStore(small_disk.path / "system.db")
    try:
        db = await commit(store, await store.load(), PutMember(member(0)))
        filler = small_disk.path / "filler"
        with pytest.raises(OSError) as full, filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        assert full.value.errno == errno.ENOSPC

        with pytest.raises(StoreError) as caught:
            await commit(store, db, *(SetAttributes({f"key{n}": "v" * 900}) for n in range(100)))
        assert caught.value.errno == errno.ENOSPC
        assert "system.db" in caught.value.description
        assert "free space" in caught.value.resolution

        filler.unlink()
        db = await commit(store, db, PutPool(pool(1)))
        found = await store.load()
        assert (found.version, found.pools, found.attributes) == (db.version, db.pools, {})
        check = found.copy()
        check.check_invariants()
    finally:
        await store.close()


@pytest.mark.root
@pytest.mark.asyncio
async def test_a_database_cannot_be_made_on_a_full_disk_and_can_when_there_is_room(small_disk: Mounted) -> None:
    filler = small_disk.path / "filler"
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    store = SqliteStore(small_disk.path / "system.db")
    try:
        with pytest.raises(StoreError) as caught:
            await store.load()
        assert caught.value.errno == errno.ENOSPC
        filler.unlink()
        assert (await store.load()).version == 0
    finally:
        await store.close()


@pytest.mark.root
@pytest.mark.asyncio
async def test_a_file_system_that_turned_read_only_fails_the_commit_until_it_is_writable(
    small_disk: Mounted,
) -> None:
    path = small_disk.path / "system.db"
    store = SqliteStore(path)
    db = await commit(store, await store.load(), PutMember(member(0)))
    await store.close()

    small_disk.remount("ro")
    store = SqliteStore(path)
    with pytest.raises(StoreError) as caught:
        await commit(store, await store.load(), PutMember(member(1)))
    assert caught.value.errno in (errno.EROFS, errno.EACCES)
    await store.close()

    small_disk.remount("rw")
    store = SqliteStore(path)
    found = await store.load()
    assert found.members == db.members
    await commit(store, found, PutMember(member(1)))
    await store.close()
