"""A pool as the management service and its engines report it. Sizes are in bytes."""

from dataclasses import dataclass, field, replace
from enum import KEEP, IntFlag, StrEnum
from typing import TYPE_CHECKING, Self

from daos_control.client.model import HIDDEN, OMIT_EMPTY
from daos_control.faults import ControlError, DaosError, Status
from daos_control.system.pool_properties import PoolProperty, Value
from daos_control.system.ranks import RankSet

if TYPE_CHECKING:
    from daos_control.proto.mgmt import pool_pb2


class QueryMask(IntFlag, boundary=KEEP):
    """What a pool query asks for; the numbers are on the wire."""

    SPACE = 0x1
    REBUILD = 0x2
    ENABLED_ENGINES = 0x4
    DISABLED_ENGINES = 0x8
    DEAD_ENGINES = 0x10
    SELF_HEAL_POLICY = 0x40

    def __str__(self) -> str:
        """ "rebuild,space": the known bits, in alphabetical order."""
        return ",".join(sorted(str(bit.name).lower() for bit in QueryMask if bit in self))


# Every bit, also those that mean nothing yet; the complement of a QueryMask would have the known ones only.
_ALL_BITS = 0xFFFFFFFFFFFFFFFF
_NEVER_BY_DEFAULT = QueryMask.ENABLED_ENGINES | QueryMask.SELF_HEAL_POLICY
DEFAULT_MASK = QueryMask(_ALL_BITS & ~int(_NEVER_BY_DEFAULT | QueryMask.DEAD_ENGINES))
HEALTH_ONLY_MASK = QueryMask(_ALL_BITS & ~int(_NEVER_BY_DEFAULT | QueryMask.SPACE))


class PoolState(StrEnum):
    """State of a pool's service; the order is that of the numbers on the wire."""

    CREATING = "Creating"
    READY = "Ready"
    DESTROYING = "Destroying"
    TARGETS_EXCLUDED = "TargetsExcluded"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> "PoolState":
        return cls(text) if text in set(cls) else cls.UNKNOWN


class RebuildState(StrEnum):
    """State of a rebuild; the order is that of the numbers on the wire."""

    BUSY = "busy"
    IDLE = "idle"
    DONE = "done"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILING = "failing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RebuildStatus:
    """A pool's rebuild; `derived_state` says how it goes on, or ended, where `status` is not 0."""

    status: int
    state: RebuildState
    derived_state: RebuildState
    objects: int
    records: int
    total_objects: int
    degraded: bool

    @classmethod
    def from_proto(cls, m: "pool_pb2.PoolRebuildStatus") -> Self:
        states = list(RebuildState)
        if not 0 <= m.state <= states.index(RebuildState.DONE):
            raise ControlError(f"the pool's engine reported a rebuild state that does not exist: {m.state}")
        state = states[m.state]
        derived = _DERIVED.get((state, _kind(m.status)), state)
        return cls(m.status, state, derived, m.objects, m.records, 0, m.degraded)


def _kind(status: int) -> str:
    if status == 0:
        return "ok"
    return "cancelled" if status == Status.OP_CANCELED else "failed"


_DERIVED = {
    (RebuildState.IDLE, "cancelled"): RebuildState.STOPPED,
    (RebuildState.IDLE, "failed"): RebuildState.FAILED,
    (RebuildState.DONE, "cancelled"): RebuildState.FAILED,
    (RebuildState.DONE, "failed"): RebuildState.FAILED,
    (RebuildState.BUSY, "cancelled"): RebuildState.STOPPING,
    (RebuildState.BUSY, "failed"): RebuildState.FAILING,
}


@dataclass(frozen=True, slots=True)
class TierStats:
    """Use of one storage tier of a pool; min, max and mean are of free bytes of a target."""

    total: int
    free: int
    min: int
    max: int
    mean: int
    media_type: str

    @classmethod
    def from_proto(cls, m: "pool_pb2.StorageUsageStats") -> Self:
        media = {0: "scm", 1: "nvme"}.get(m.media_type, "unknown")
        return cls(m.total, m.free, m.min, m.max, m.mean, media)


@dataclass(frozen=True, slots=True)
class TierUsage:
    """The same in short; `imbalance` is how far targets lie apart, in percent of a target's size."""

    tier_name: str
    size: int
    free: int
    imbalance: int


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool. What was not asked for is 0, None or empty."""

    query_mask: QueryMask = field(default=QueryMask(0))
    state: PoolState = PoolState.CREATING
    uuid: str = "00000000-0000-0000-0000-000000000000"
    label: str = field(metadata=OMIT_EMPTY, default="")
    total_targets: int = 0
    active_targets: int = 0
    total_engines: int = 0
    disabled_targets: int = 0
    version: int = 0
    svc_ldr: int = 0
    svc_reps: tuple[int, ...] = field(metadata=OMIT_EMPTY, default=())
    rebuild: RebuildStatus | None = None
    tier_stats: tuple[TierStats, ...] = ()
    enabled_ranks: RankSet | None = field(metadata=OMIT_EMPTY, default=None)
    disabled_ranks: RankSet | None = field(metadata=OMIT_EMPTY, default=None)
    dead_ranks: RankSet | None = field(metadata=OMIT_EMPTY, default=None)
    pool_layout_ver: int = 0
    upgrade_layout_ver: int = 0
    mem_file_bytes: int = 0
    md_on_ssd_active: bool = False
    self_heal_policy: str = ""
    sys_self_heal_policy: str = field(metadata=HIDDEN, default="")

    @property
    def name(self) -> str:
        """The label, or the beginning of the uuid."""
        return self.label or self.uuid.partition("-")[0]

    @property
    def usage(self) -> tuple[TierUsage, ...]:
        return tuple(TierUsage(t.media_type.upper(), t.total, t.free, self._imbalance(t)) for t in self.tier_stats)

    def _imbalance(self, tier: TierStats) -> int:
        if not tier.total or not self.active_targets:
            return 0
        return int((tier.max - tier.min) / (tier.total / self.active_targets) * 100)

    def with_answer(self, m: "pool_pb2.PoolQueryResp") -> "PoolInfo":
        """This pool with what a query of it answered; what the answer leaves out stays."""
        if m.status:
            raise DaosError(m.status)
        state = PoolState.UNKNOWN
        if m.total_targets:
            state = PoolState.TARGETS_EXCLUDED if m.disabled_targets else PoolState.READY
        return replace(
            self,
            query_mask=QueryMask(m.query_mask),
            state=state,
            uuid=m.uuid or self.uuid,
            label=m.label or self.label,
            total_targets=m.total_targets,
            active_targets=m.active_targets,
            total_engines=m.total_engines,
            disabled_targets=m.disabled_targets,
            version=m.version,
            svc_ldr=m.svc_ldr,
            svc_reps=tuple(m.svc_reps) or self.svc_reps,
            rebuild=RebuildStatus.from_proto(m.rebuild) if m.HasField("rebuild") else None,
            tier_stats=tuple(TierStats.from_proto(t) for t in m.tier_stats),
            enabled_ranks=_ranks(m.enabled_ranks),
            disabled_ranks=_ranks(m.disabled_ranks),
            dead_ranks=_ranks(m.dead_ranks),
            pool_layout_ver=m.pool_layout_ver,
            upgrade_layout_ver=m.upgrade_layout_ver,
            mem_file_bytes=m.mem_file_bytes,
            md_on_ssd_active=m.md_on_ssd_active,
            self_heal_policy=m.self_heal_policy,
            sys_self_heal_policy=m.sys_self_heal_policy,
        )


def _ranks(text: str) -> RankSet | None:
    """None where the engine was not asked; "[]" is the empty set."""
    return RankSet.parse(text) if text else None


@dataclass(frozen=True, slots=True)
class PoolList:
    """Pools in the order of their labels; `query_errors` has those whose query failed, by uuid."""

    status: int
    pools: tuple[PoolInfo, ...]
    query_errors: dict[str, Exception] = field(metadata=HIDDEN)

    @property
    def warnings(self) -> str:
        """A line for each query that failed."""
        return "".join(
            f'Query on pool "{pool.name}" unsuccessful, error: "{self.query_errors[pool.uuid]}"\n'
            for pool in self.pools
            if pool.uuid in self.query_errors
        )


@dataclass(frozen=True, slots=True)
class CreatedPool:
    """A pool that was created; `tier_bytes` and `mem_file_bytes` are per rank."""

    uuid: str
    svc_ldr: int
    svc_reps: tuple[int, ...]
    tgt_ranks: tuple[int, ...]
    tier_bytes: tuple[int, ...]
    mem_file_bytes: int
    md_on_ssd_active: bool


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """A pool property with its value, None where the server gave none."""

    which: PoolProperty
    value: Value | None

    @property
    def text(self) -> str:
        return self.which.format(self.value)
