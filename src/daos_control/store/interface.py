"""Where the system database lives: one interface, one module per kind of store."""

from collections.abc import Sequence
from typing import Protocol

from daos_control.system.changes import Change
from daos_control.system.database import SystemDatabase


class FencedError(Exception):
    """Somebody else committed since: this writer has been deposed and may commit nothing more."""


class Store(Protocol):
    """Durable home of the system database; used by one writer at a time."""

    async def load(self) -> SystemDatabase:
        """The database as last committed; empty for a new store."""
        ...

    async def commit(self, changes: Sequence[Change], *, base: SystemDatabase, result: SystemDatabase) -> None:
        """Make `changes`, which turn `base` into `result`, durable in one transaction, all or nothing.

        Raises FencedError when the store is not at `base.version` any more; OSError when it cannot be written.
        """
        ...

    async def close(self) -> None: ...
