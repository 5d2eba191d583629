"""Doing something unless something else happens first."""

import asyncio
from collections.abc import Coroutine
from typing import Any

Rival = asyncio.Event | asyncio.Future[Any]


async def race(work: Coroutine[Any, Any, object], *rivals: Rival) -> Rival | None:
    """Do `work`; None when it was done. Where a rival came first (an event set, a future done), cancel it, wait for
    that, and return the rival. When both are there, the rival counts, and of several the first in order.

    Raises what `work` raises. Leaves the rivals as they are.
    """
    task = asyncio.create_task(work)
    waits = [asyncio.create_task(r.wait()) if isinstance(r, asyncio.Event) else r for r in rivals]
    ours = [task, *(wait for wait, rival in zip(waits, rivals, strict=True) if wait is not rival)]
    try:
        await asyncio.wait([task, *waits], return_when=asyncio.FIRST_COMPLETED)
        for rival in rivals:
            if rival.is_set() if isinstance(rival, asyncio.Event) else rival.done():
                return rival
        await task
        return None
    finally:
        for one in ours:
            one.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
