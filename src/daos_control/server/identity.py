"""Who an engine is: its superblock in memory, and every change of it on disk."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from daos_control.faults import ControlError
from daos_control.server import superblock
from daos_control.server.superblock import Superblock


class Identity:
    """The superblock at `path`, once it was read or made; None before.

    Disk work runs in threads, one after the other: one that nobody waits for any more (its waiter was cancelled)
    still ends before the next begins.
    """

    def __init__(self, path: Path) -> None:
        self.superblock: Superblock | None = None
        self._path: Final = path
        self._disk = threading.Lock()

    @property
    def rank(self) -> int | None:
        """The rank that the system gave; None before the first join, and where the superblock is not known."""
        return None if self.superblock is None else self.superblock.member_rank

    @property
    def known(self) -> Superblock:
        """Raises ControlError where there is none."""
        if self.superblock is None:
            raise ControlError(f"{self._path} was removed while its engine was starting")
        return self.superblock

    async def remember(self, **changes: Any) -> None:
        """Change fields. Raises the Fault of a superblock that cannot be written, the change kept in memory."""
        before = self.known
        self.superblock = replace(before, **changes)
        if self.superblock != before:
            await self._on_disk(superblock.write, self._path, self.superblock)

    async def forget(self) -> None:
        """Remove the superblock; nothing to do where there is none."""
        self.superblock = None
        await self._on_disk(superblock.remove, self._path)

    async def _on_disk(self, work: Callable[..., None], *arguments: object) -> None:
        def locked() -> None:
            with self._disk:
                work(*arguments)

        await asyncio.to_thread(locked)
