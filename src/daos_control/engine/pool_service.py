"""The service of pools: answers what is asked about a pool, and changes its record.

Any rank that keeps a pool's service can serve it; the `Register` keeps them of one mind. The rank that serves
calls itself the leader.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from daos_control.engine.fabric import FabricMethod
from daos_control.engine.log import facility
from daos_control.engine.peers import Peers
from daos_control.engine.pool_map import PoolMap, TargetState
from daos_control.engine.pool_record import PoolRecord, Properties
from daos_control.engine.register import Register, Value
from daos_control.engine.service_replicas import PoolReplicas
from daos_control.engine.shards import ShardState, ShardStore, TargetUsage
from daos_control.engine.storage import Storage, is_uuid
from daos_control.engine.targets import usage_of
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

USAGE_SECONDS = 5.0
_AT_ONCE = 64

_log = facility("pool")


@dataclass(frozen=True, slots=True)
class Space:
    """Space in bytes of one tier over the targets that answered: the sums, and the free space of single targets."""

    total: int = 0
    free: int = 0
    minimum: int = 0
    maximum: int = 0
    mean: int = 0

    @classmethod
    def over(cls, totals: list[int], free: list[int]) -> "Space":
        if not totals:
            return cls()
        return cls(sum(totals), sum(free), min(free), max(free), sum(free) // len(free))


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """Space of a pool, from the `targets` that answered and serve."""

    targets: int
    scm: Space
    nvme: Space
    file_bytes: int


class PoolService:
    """Pools whose service is kept on this engine. Methods raise DaosError: NONEXIST where it is not, or as said."""

    def __init__(self, storage: Storage, shards: ShardStore, peers: Peers) -> None:
        self._storage = storage
        self._shards = shards
        self._peers = peers

    @property
    def md_on_ssd(self) -> bool:
        return self._shards.md_on_ssd

    def register(self, uuid: str, ranks: tuple[int, ...]) -> Register:
        return Register(PoolReplicas(self._peers, uuid), ranks, self._peers.me)

    def _own_register(self, uuid: str) -> Register:
        shard = self._shards.get(uuid)
        if shard is None or shard.state is not ShardState.LIVE or self._peers.me not in shard.spec.service_ranks:
            raise DaosError(Status.NONEXIST, f"no service of pool {uuid} here")
        return self.register(uuid, shard.spec.service_ranks)

    async def read(self, uuid: str) -> PoolRecord:
        return PoolRecord.from_json(await self._own_register(uuid).read())

    async def _change(self, uuid: str, decide: Callable[[PoolRecord], PoolRecord]) -> PoolRecord:
        def on_json(value: Value) -> Value:
            return decide(PoolRecord.from_json(value)).to_json()

        return PoolRecord.from_json(await self._own_register(uuid).change(on_json))

    async def space(self, record: PoolRecord) -> PoolSpace:
        """Space as the ranks of the pool find it on their storage; ranks that do not answer are left out."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def ask(rank: int) -> list[TargetUsage]:
            try:
                async with room:
                    return await self._usage(record.uuid, rank)
            except DaosError as error:
                _log.warning("pool %s: rank %d does not tell its space: %s", record.uuid, rank, error)
                return []

        ranks = [rank for rank in record.map.enabled_ranks if not self._peers.is_dead(rank)]
        found = await asyncio.gather(*(ask(rank) for rank in ranks))
        usages: list[TargetUsage] = []
        for rank, usage in zip(ranks, found, strict=True):
            states = record.map.states(rank)
            usages += [item for item, state in zip(usage, states, strict=False) if state is TargetState.UP_IN]
        return PoolSpace(
            targets=len(usages),
            scm=Space.over([item.scm_total for item in usages], [item.scm_free for item in usages]),
            nvme=Space.over([item.nvme_total for item in usages], [item.nvme_free for item in usages]),
            file_bytes=sum(item.file_bytes for item in usages),
        )

    async def _usage(self, uuid: str, rank: int) -> list[TargetUsage]:
        return usage_of(await self._peers.call(rank, FabricMethod.TARGET_USAGE, {"uuid": uuid}, USAGE_SECONDS))

    async def targets(
        self, uuid: str, rank: int, indexes: list[int]
    ) -> list[tuple[TargetState, TargetUsage | None]]:
        """States and spaces of some targets of a rank. Raises DaosError NONEXIST for one that is not there."""
        record = await self.read(uuid)
        states = record.map.states(rank)
        if any(index >= len(states) for index in indexes):
            raise DaosError(Status.NONEXIST, f"rank {rank} has {len(states)} targets")
        reachable = rank in record.map.enabled_ranks and not self._peers.is_dead(rank)
        usage = await self._usage(uuid, rank) if reachable else []
        serving = TargetState.UP_IN
        return [(states[i], usage[i] if usage and states[i] is serving else None) for i in indexes]

    async def set_properties(self, uuid: str, given: Properties) -> None:
        await self._change(uuid, lambda record: replace(record, properties=record.properties | given))

    async def change_acl(self, uuid: str, decide: Callable[[tuple[str, ...]], tuple[str, ...]]) -> PoolRecord:
        """`decide` makes the new list of the old one; see `pool_acl`."""
        return await self._change(uuid, lambda record: replace(record, acl=decide(record.acl)))

    async def exclude(self, uuid: str, rank: int, targets: list[int]) -> PoolRecord:
        """Take targets out of service; all of the rank's where none are named."""
        return await self._set_targets(uuid, rank, targets, TargetState.DOWN_OUT)

    async def reintegrate(self, uuid: str, rank: int, targets: list[int]) -> PoolRecord:
        """Take targets back into service. Raises DaosError where the rank does not answer, or lost its part."""
        await self._usage(uuid, rank)
        return await self._set_targets(uuid, rank, targets, TargetState.UP_IN)

    async def _set_targets(self, uuid: str, rank: int, targets: list[int], state: TargetState) -> PoolRecord:
        def decide(record: PoolRecord) -> PoolRecord:
            changed: PoolMap = record.map.with_states(rank, targets, state)
            return record if changed is record.map else replace(record, map=changed)

        record = await self._change(uuid, decide)
        _log.info("pool %s: map version %d, rank %d is %s", uuid, record.map.version, rank, state.name)
        return record

    async def containers(self, uuid: str) -> list[str]:
        """uuids of the containers: the names in the pool's `containers` directory here."""
        await self.read(uuid)
        directory = self._storage.record_directory(uuid) / "containers"

        def names() -> list[str]:
            return (
                sorted(path.name for path in directory.iterdir() if is_uuid(path.name))
                if directory.is_dir()
                else []
            )

        return await asyncio.to_thread(names)
