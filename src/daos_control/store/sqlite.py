"""The system database in one SQLite file: the store of a single replica."""

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from urllib.parse import quote

from daos_control.faults import system as faults
from daos_control.store import tables
from daos_control.store.interface import FencedError, StoreError
from daos_control.system.changes import Change
from daos_control.system.database import SystemDatabase

APPLICATION_ID: Final = 0x44414F53  # "DAOS"
FORMAT: Final = 1
MODE: Final = 0o660
DIRECTORY_MODE: Final = 0o770
_BUSY_S: Final = 5.0

P = ParamSpec("P")
T = TypeVar("T")

# What SQLite's primary result codes mean to whoever has to act on them.
_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}


class SqliteStore:
    """Store on one file, with a write-ahead log that is synced at every commit.

    Guarantees: a commit that returned survives the death of the process and of the machine; one that did not is
    there entirely or not at all; a commit against another version than the file's is refused (FencedError). Each
    row has a checksum and the header counts the rows, so that damage is noticed at `load` and not passed on.

    All work is done in one thread of the store's own; the event loop never waits for a disk.
    """

    def __init__(self, path: Path) -> None:
        """`path` is the file; it is made by the first `load`, and its directory too where only that is missing."""
        self._path = path
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="system-database")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def load(self) -> SystemDatabase:
        """See Store. May be called again at any time, and then reads the file anew."""
        return await self._run("read", self._load)

    async def commit(self, changes: Sequence[Change], *, base: SystemDatabase, result: SystemDatabase) -> None:
        """See Store. Rows that `changes` do not touch are not written."""
        if result.version != base.version + len(changes):
            raise ValueError(f"{len(changes)} changes do not lead from {base.version} to {result.version}")
        await self._run("write", self._commit, changes, base, result)

    async def erase(self) -> None:
        await self._run("erase", self._erase)

    async def close(self) -> None:
        if not self._closed:
            await self._run("close", self._disconnect)
            self._closed = True
            self._executor.shutdown(wait=False)

    async def _run(self, doing: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in the store's thread, with its errors made StoreErrors.

        What has begun is ended, also for a caller that is cancelled: nobody may take a running commit for undone.
        """

        def call() -> T:
            try:
                return work(*args, **kwargs)
            except sqlite3.Error as error:
                raise _typed(self._path, doing, error) from error
            except OSError as error:
                reason = error.strerror or str(error)
                raise faults.database_failed(self._path, doing, reason, error.errno) from error

        future = asyncio.get_running_loop().run_in_executor(self._executor, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait((future,))
            if not future.cancelled():
                future.exception()  # whoever waited for it has gone
            raise

    # Everything below runs in the store's thread.

    def _load(self) -> SystemDatabase:
        self._disconnect()
        connection = self._connect()
        try:
            connection.execute("BEGIN")
            try:
                db = tables.read(connection)
            finally:
                _roll_back(connection)
        except ValueError as error:
            connection.close()
            raise faults.database_damaged(self._path, str(error)) from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return db

    def _commit(self, changes: Sequence[Change], base: SystemDatabase, result: SystemDatabase) -> None:
        connection = self._connection
        if connection is None:
            raise faults.database_failed(self._path, "write", "it has not been read yet")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                version = tables.version(connection)
            except ValueError as error:
                raise faults.database_damaged(self._path, str(error)) from error
            if version != base.version:
                raise FencedError(f"the store is at version {version}, this writer at {base.version}")
            tables.write(connection, changes, base, result)
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise

    def _erase(self) -> None:
        self._disconnect()  # which also removes the log, unless somebody else has the file open
        for path in (*self._companions(), self._path):
            path.unlink(missing_ok=True)
        _sync_directory(self._path.parent)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._create()
        if self._path.stat().st_size == 0:
            raise faults.database_damaged(self._path, "it is empty")
        connection = _open(self._path)
        try:
            self._check(connection)
            if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise faults.database_failed(self._path, "open", "its file system does not support a shared log")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """That the file is a database of ours, in a format that we know, and sound."""
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise faults.database_foreign(self._path)
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise faults.database_newer(self._path, found, FORMAT)
        if found != FORMAT:
            raise faults.database_damaged(self._path, f"it has format {found}, which never existed")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise faults.database_damaged(self._path, str(verdict))

    def _create(self) -> None:
        """Make an empty database under another name, and give it its own only when it is complete and durable."""
        for companion in self._companions():
            if companion.exists():
                # A log without its database: putting a new one beside it would mix the two.
                raise faults.database_damaged(self._path, f"it is missing, but its {companion.name} is there")
        parent = self._path.parent
        if not parent.exists():
            parent.mkdir()
            parent.chmod(DIRECTORY_MODE)
            _sync_directory(parent.parent)
        draft = self._path.with_name(self._path.name + ".new")
        for leftover in (draft, *_companions_of(draft)):
            leftover.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, MODE)
        try:
            os.fchmod(descriptor, MODE)
            connection = _open(draft)
            try:
                connection.execute("BEGIN")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                tables.create(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, self._path)
        except FileExistsError:
            pass  # somebody was faster; theirs is as good
        finally:
            draft.unlink()
        _sync_directory(parent)

    def _companions(self) -> tuple[Path, ...]:
        return _companions_of(self._path)


def _companions_of(path: Path) -> tuple[Path, ...]:
    """The files that SQLite may keep beside a database."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, isolation_level=None, timeout=_BUSY_S
    )
    # A damaged text must get as far as its checksum.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _typed(path: Path, doing: str, error: sqlite3.Error) -> StoreError:
    # Errors of the module itself (not of SQLite) have no code.
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_NOTADB:
        return faults.database_foreign(path)
    # A statement that the file does not understand: a table of it is missing, or not what it was.
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
        return faults.database_damaged(path, str(error))
    number = None if primary is None else _ERRNO.get(primary)
    reason = f"{os.strerror(number)} ({error})" if number is not None else str(error)
    return faults.database_failed(path, doing, reason, number)
