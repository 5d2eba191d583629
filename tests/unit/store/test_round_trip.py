"""Whatever a system lives through, the store has it as memory has it."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import rule

from daos_control.store.sqlite import SqliteStore
from daos_control.system.changes import Change
from daos_control.system.database import SystemDatabase
from unit.system.machine import SystemMachine


class StoredSystemMachine(SystemMachine):
    """Each decision is committed; at any time the file may be read again, and is then the database in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="store-"))
        self.runner = asyncio.Runner()
        self.store = SqliteStore(self.directory / "system.db")
        self.db = self.runner.run(self.store.load())

    def commit(self, changes: Sequence[Change], base: SystemDatabase, result: SystemDatabase) -> None:
        self.runner.run(self.store.commit(changes, base=base, result=result))

    @rule()
    def the_process_starts_again(self) -> None:
        self.runner.run(self.store.close())
        self.store = SqliteStore(self.directory / "system.db")
        self.compare()

    def compare(self) -> None:
        found = self.runner.run(self.store.load())
        for name in self.db.__slots__:
            assert getattr(found, name) == getattr(self.db, name), name
        assert list(found.domain_numbers) == list(self.db.domain_numbers)
        self.db = found

    def teardown(self) -> None:
        self.compare()
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.directory)


TestStoredSystem = StoredSystemMachine.TestCase
TestStoredSystem.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
