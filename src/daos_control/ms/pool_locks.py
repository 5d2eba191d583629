"""Locks on single pools: what changes a pool runs alone on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from daos_control.faults.system import pool_locked


@dataclass(slots=True)
class _Entry:
    """Of one pool: its lock, who holds it, and how many hold it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holder: str = ""
    users: int = 0


class PoolLocks:
    """In the memory of the leading replica only, and forgotten pool by pool when nobody uses them.

    A request that finds its pool locked is refused at once (Fault 402, which clients try again): it may not know
    what the other one leaves behind. What comes from engines waits instead.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def is_locked(self, uuid: str) -> bool:
        entry = self._entries.get(uuid)
        return entry is not None and entry.lock.locked()

    @asynccontextmanager
    async def taken(self, uuid: str, holder: str) -> AsyncIterator[None]:
        """Hold the lock for the block; Fault 402 where somebody does already. `holder` is told to the others."""
        if self.is_locked(uuid):
            raise pool_locked(uuid, self._entries[uuid].holder)
        async with self.waited(uuid, holder):
            yield

    @asynccontextmanager
    async def waited(self, uuid: str, holder: str) -> AsyncIterator[None]:
        """Hold the lock for the block, after those who had it before."""
        with self._use(uuid) as entry:
            async with entry.lock:
                entry.holder = holder
                yield

    @contextmanager
    def _use(self, uuid: str) -> Iterator[_Entry]:
        entry = self._entries.setdefault(uuid, _Entry())
        entry.users += 1
        try:
            yield entry
        finally:
            entry.users -= 1
            if entry.users == 0:
                del self._entries[uuid]

    def __len__(self) -> int:
        return len(self._entries)
