"""Where the system database lives: one interface, one module per kind of store."""

from collections.abc import Sequence
from typing import Protocol

from daos_control.faults.system import StoreError, UnusableDatabaseError
from daos_control.system.changes import Change
from daos_control.system.database import SystemDatabase

__all__ = ["FencedError", "Store", "StoreError", "UnusableDatabaseError"]


class FencedError(Exception):
    """Somebody else committed since: this writer has been deposed and may commit nothing more."""


class Store(Protocol):
    """Durable home of the system database; used by one writer at a time.

    A failure leaves the store usable: what was committed stays, and the next call may succeed.
    """

    async def load(self) -> SystemDatabase:
        """The database as last committed; empty for a new store.

        Raises StoreError where it cannot be read, UnusableDatabaseError where it is damaged or not ours.
        """
        ...

    async def commit(self, changes: Sequence[Change], *, base: SystemDatabase, result: SystemDatabase) -> None:
        """Make `changes`, which turn `base` into `result`, durable in one transaction, all or nothing.

        Raises FencedError when the store is not at `base.version` any more; StoreError when it cannot be written.
        When it is cancelled, the outcome is unknown until `load`.
        """
        ...

    async def erase(self) -> None:
        """Remove the database for good; `load` then begins a new one. Raises StoreError."""
        ...

    async def close(self) -> None:
        """Release everything; done twice, it changes nothing."""
        ...
