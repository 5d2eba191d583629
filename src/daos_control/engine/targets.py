"""This engine's part in making and removing pools: what coordinators ask of it over the fabric.

Making a pool takes two steps, so that none is left half made. First every rank makes a PREPARED shard. Then the
first service rank, the decider, makes its own LIVE: at that moment the pool exists; the others follow. An attempt
whose coordinator is gone ends by asking the decider, which either has decided, or cancels the attempt for good.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from daos_control.engine import files
from daos_control.engine.fabric import FabricMethod
from daos_control.engine.locks import NamedLocks
from daos_control.engine.log import facility
from daos_control.engine.peers import Peers
from daos_control.engine.shards import Shard, ShardSpec, ShardState, ShardStore, TargetUsage
from daos_control.engine.storage import is_uuid
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

_CANCELLED_MAX = 4096
_ASK_SECONDS = 5.0

_log = facility("pool")


class Targets:
    """Serves TARGET_* calls; everything that blocks runs in a thread, so that pings are answered meanwhile.

    `active` are the attempts that this engine coordinates now; `forget` is called with each pool removed.
    """

    def __init__(self, shards: ShardStore, locks: NamedLocks, peers: Peers, forget: Callable[[str], None]) -> None:
        self._shards = shards
        self._locks = locks
        self._peers = peers
        self._forget = forget
        self._cancelled: deque[str] = deque(maxlen=_CANCELLED_MAX)
        self.active: set[str] = set()

    async def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_CREATE: make a PREPARED shard; answers the number of targets and the bytes really taken."""
        spec = ShardSpec(**{**request, "service_ranks": tuple(request["service_ranks"])})
        if not is_uuid(spec.uuid):
            raise DaosError(Status.INVAL, f"{spec.uuid!r} is no uuid")
        async with self._locks.hold(spec.uuid):
            if spec.attempt in self._cancelled:
                raise DaosError(Status.CANCELED, "the attempt to create the pool has been given up")
            shard = await asyncio.to_thread(self._shards.create, spec)
            usage = await asyncio.to_thread(self._shards.usage, spec.uuid)
        return {"targets": shard.targets, "usage": [asdict(item) for item in usage]}

    async def commit(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_COMMIT: make the shard LIVE. Raises DaosError CANCELED, NONEXIST."""
        uuid, attempt = request["uuid"], request["attempt"]
        async with self._locks.hold(uuid):
            if attempt in self._cancelled or self._prepared(uuid, attempt, or_live=True) is None:
                raise DaosError(Status.CANCELED, "the attempt to create the pool has been given up")
            await asyncio.to_thread(self._shards.commit, uuid)
            files.crash_point("shard-committed")
        return {}

    async def abort(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_ABORT: remove what an attempt made here, and take nothing of it any more.

        A LIVE shard stays; the answer says if there is one.
        """
        uuid, attempt = request["uuid"], request["attempt"]
        self._cancelled.append(attempt)
        async with self._locks.hold(uuid):
            if self._prepared(uuid, attempt) is not None:
                _log.info("pool %s: removing what an attempt to create it left here", uuid)
                await self._remove(uuid)
            return {"live": self._prepared(uuid, attempt, or_live=True) is not None}

    async def destroy(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_DESTROY: remove the shard; none here is fine."""
        async with self._locks.hold(request["uuid"]):
            await self._remove(request["uuid"])
        return {}

    async def usage(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_USAGE: space of each target."""
        found = await asyncio.to_thread(self._shards.usage, request["uuid"])
        return {"usage": [asdict(item) for item in found]}

    async def resolve(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_RESOLVE, to the decider: did the attempt succeed? "pending" while nobody can say yet."""
        uuid, attempt, coordinator = request["uuid"], request["attempt"], request["coordinator"]
        shard = self._shards.get(uuid)
        if shard is not None and shard.state is ShardState.LIVE and shard.spec.attempt == attempt:
            return {"outcome": "live"}
        if await self._may_be_at_work(coordinator, attempt):
            return {"outcome": "pending"}
        # The decision may have been taken while we asked.
        aborted = await self.abort({"uuid": uuid, "attempt": attempt})
        return {"outcome": "live" if aborted["live"] else "gone"}

    async def attempt_active(self, request: dict[str, Any]) -> dict[str, Any]:
        """TARGET_ATTEMPT, to the coordinator: is it still at work on this attempt?"""
        return {"active": request["attempt"] in self.active}

    async def settle(self) -> None:
        """End every attempt of others that came to nothing, or whose success has not come through to here."""
        for shard in self._shards.all():
            if shard.state is ShardState.PREPARED and shard.spec.attempt not in self.active:
                await self._settle_one(shard.spec)

    async def _settle_one(self, spec: ShardSpec) -> None:
        question = {"uuid": spec.uuid, "attempt": spec.attempt, "coordinator": spec.coordinator}
        decider = spec.service_ranks[0]
        try:
            reply = await self._peers.call(decider, FabricMethod.TARGET_RESOLVE, question, 2 * _ASK_SECONDS)
            if reply["outcome"] == "live":
                await self.commit(question)
            elif reply["outcome"] == "gone":
                await self.abort(question)
        except DaosError as error:
            _log.info("pool %s is half made, and rank %d does not say if it exists: %s", spec.uuid, decider, error)

    async def _may_be_at_work(self, coordinator: int, attempt: str) -> bool:
        question = {"attempt": attempt}
        try:
            reply = await self._peers.call(coordinator, FabricMethod.TARGET_ATTEMPT, question, _ASK_SECONDS)
        except DaosError as error:
            left_group = error.status == Status.OOG and self._peers.view.map.version > 0
            return not (left_group or self._peers.is_dead(coordinator))
        return bool(reply["active"])

    def _prepared(self, uuid: str, attempt: str, *, or_live: bool = False) -> Shard | None:
        shard = self._shards.get(uuid)
        if shard is None or shard.spec.attempt != attempt:
            return None
        return shard if or_live or shard.state is ShardState.PREPARED else None

    async def _remove(self, uuid: str) -> None:
        self._forget(uuid)
        await asyncio.to_thread(self._shards.destroy, uuid)


def usage_of(reply: dict[str, Any]) -> list[TargetUsage]:
    """The space of targets as TARGET_CREATE and TARGET_USAGE answer it."""
    return [TargetUsage(**item) for item in reply["usage"]]
