"""Takes dead ranks out of the maps of pools, as the policies of the system and of each pool say."""

import asyncio

from daos_control.engine.log import facility
from daos_control.engine.peers import Peers
from daos_control.engine.pool_service import PoolService
from daos_control.engine.shards import Shard, ShardState, ShardStore
from daos_control.engine.targets import Targets
from daos_control.engine.upcalls import Server
from daos_control.faults.core import DaosError

SETTLE_SECONDS = 5.0
_POOL_EXCLUDE = "pool_exclude"

_log = facility("pool")


class PoolHealth:
    """Looks at the pools whose service begins here, whenever the group changes, and again where that failed.

    After `pause` (a shutdown is being prepared) it excludes nobody: ranks that stop in order are not dead.
    """

    def __init__(
        self, peers: Peers, shards: ShardStore, service: PoolService, targets: Targets, server: Server
    ) -> None:
        self._peers = peers
        self._shards = shards
        self._service = service
        self._targets = targets
        self._server = server
        self._changed = asyncio.Event()
        self._paused = False

    def group_changed(self) -> None:
        self._changed.set()

    def pause(self) -> None:
        self._paused = True

    async def run(self) -> None:
        """Work until cancelled: settle half-made pools now and then, review pools after changes."""
        while True:
            await self._targets.settle()
            if self._changed.is_set() and not self._paused and await self._review():
                self._changed.clear()
            try:
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self._changed.wait()
                    # Changes come in swarms, and a review that failed must not be repeated at once.
                    await asyncio.sleep(SETTLE_SECONDS / 20)
            except TimeoutError:
                continue

    async def _review(self) -> bool:
        """False where it has to be repeated."""
        mine = [shard for shard in self._shards.all() if self._is_leader(shard)]
        if not mine:
            return True
        try:
            policy = (await self._server.system_properties("self_heal")).get("self_heal", "")
            if _POOL_EXCLUDE not in policy.split(";"):
                return True
            for shard in mine:
                await self._review_pool(shard.spec.uuid)
        except DaosError as error:
            _log.warning("pools cannot be reviewed now: %s", error)
            return False
        return True

    def _is_leader(self, shard: Shard) -> bool:
        living = [rank for rank in shard.spec.service_ranks if not self._is_gone(rank)]
        return shard.state is ShardState.LIVE and bool(living) and living[0] == self._peers.me

    def _is_gone(self, rank: int) -> bool:
        return self._peers.is_dead(rank) or rank not in self._peers.view.map.engines

    async def _review_pool(self, uuid: str) -> None:
        record = await self._service.read(uuid)
        if not record.excludes_dead_ranks:
            return
        for rank in record.map.enabled_ranks:
            if self._is_gone(rank):
                await self._service.exclude(uuid, rank, [])
