"""How long a storm of joins takes: group commit beside one durable commit per join, on the same disk."""

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from daos_control.ms.writer import Writer
from daos_control.store.sqlite import SqliteStore
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.join import JoinRequest, JoinResult, decide_join
from daos_control.system.properties import decide_fabric_providers


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def _request(index: int) -> JoinRequest:
    return JoinRequest(
        uuid=str(UUID(int=index + 1)),
        address=f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}:10001",
        index=0,
        fabric_uri=f"ofi+tcp://10.0.0.1:{index}",
        fabric_contexts=1,
        fault_domain=f"/host{index}",
        incarnation=1,
    )


async def _storm(count: int, *, at_once: bool) -> tuple[float, int]:
    """Seconds and commits for `count` joins, all at once or one after the other."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        store = SqliteStore(Path(folder) / "system.sqlite")
        writer = Writer(store, _Clock(), await store.load())
        serving = asyncio.create_task(writer.run())
        now = datetime.now(UTC)
        await writer.submit(lambda db, _: decide_fabric_providers(db, ("ofi+tcp",), now, hostname="bench"))
        before, began = writer.commits, time.perf_counter()

        async def join(index: int) -> None:
            def decide(db: SystemDatabase, at: datetime) -> Decision[JoinResult]:
                return decide_join(db, _request(index), at)

            await writer.submit(decide)

        if at_once:
            await asyncio.gather(*(join(index) for index in range(count)))
        else:
            for index in range(count):
                await join(index)
        seconds, commits = time.perf_counter() - began, writer.commits - before
        writer.close()
        await serving
        await store.close()
        return seconds, commits


def run(count: int) -> None:
    """Print both, and their ratio."""
    grouped, grouped_commits = asyncio.run(_storm(count, at_once=True))
    single, single_commits = asyncio.run(_storm(count, at_once=False))
    print(f"{count} joins at once      {grouped:8.3f} s  {grouped_commits:5d} commits")
    print(f"{count} joins one by one   {single:8.3f} s  {single_commits:5d} commits")
    print(f"ratio                  {single / grouped:8.1f}")
