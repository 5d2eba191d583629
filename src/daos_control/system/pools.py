"""Pools as the management service decides about them: creation, service ranks, destruction, lookup."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from daos_control.faults import ControlError, DaosError, PoolNotFoundError, Status
from daos_control.faults import server as server_faults
from daos_control.system.changes import PutPool, RemovePool
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.events import PoolReplicas, RasEvent
from daos_control.system.fault_domain import compressed_tree
from daos_control.system.group_map import group_map
from daos_control.system.membership import available_ranks
from daos_control.system.names import canonical_uuid, check_label
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.ranks import RankSet
from daos_control.system.sizes import format_binary

MIB: Final = 1 << 20
SCM_BYTES_PER_TARGET_MIN: Final = 16 * MIB
NVME_BYTES_PER_TARGET_MIN: Final = 1024 * MIB
SERVICE_REPLICAS_MAX: Final = 9  # for the largest redundancy factor of a pool service, 4
MEM_RATIO_DEFAULT: Final = 1.0

Pick = Callable[[Sequence[int], int], Sequence[int]]
"""Chooses so many of these ranks; `random.sample`."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a client asks for: sizes per rank (`tier_bytes`), or a total and how tiers share it (fractions of 1).

    `ranks` names them, or `num_ranks` says how many (neither: all available). `service_replicas` 0 leaves the
    number to the engine.
    """

    uuid: str
    label: str
    ranks: tuple[int, ...] = ()
    num_ranks: int = 0
    tier_bytes: tuple[int, ...] = ()
    tier_ratio: tuple[float, ...] = ()
    total_bytes: int = 0
    mem_ratio: float = 0.0
    service_replicas: int = 0


@dataclass(frozen=True, slots=True)
class Engines:
    """What all engines have in common: targets of each, and whether they have block devices, with metadata on."""

    targets: int
    has_bdevs: bool
    md_on_ssd: bool


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """The record of the new pool, in state CREATING, and the tree of the fault domains of its ranks.

    `creation_ranks`, `tier_bytes` (per rank) and `mem_ratio` of the record are what the engine is to be asked for.
    """

    pool: PoolService
    fault_domains: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ExistingPool:
    """The pool is there already: an earlier try of the same request succeeded."""

    pool: PoolService


@dataclass(frozen=True, slots=True)
class UnfinishedPool:
    """An earlier try left this behind: clean it up, and answer -1013 (try again)."""

    pool: PoolService


def decide_create(
    db: SystemDatabase, request: CreateRequest, engines: Engines, now: datetime, *, pick: Pick
) -> Decision[CreatePlan | ExistingPool | UnfinishedPool]:
    """Place and size a new pool, and record it before any engine hears of it.

    Raises Fault 604 to 609, 615, 619, or ControlError, where it cannot be.
    """
    uuid = canonical_uuid(request.uuid)
    if uuid is None:
        raise ControlError(f'failed to parse pool UUID "{request.uuid}"')
    known = db.pools.get(uuid)
    if known is not None:
        ready_already = known.state is PoolState.READY
        return Decision((), ExistingPool(known) if ready_already else UnfinishedPool(known))
    if not request.label:
        raise server_faults.pool_no_label()
    check_label(request.label)
    check_label_is_free(db, uuid, request.label)
    ranks = _place(db, request, pick)
    _check_service_replicas(request.service_replicas, len(ranks))
    mem_ratio = _mem_ratio(request, engines)
    tier_bytes = _size(request, engines, len(ranks))
    pool = PoolService(
        uuid=uuid,
        label=request.label,
        state=PoolState.CREATING,
        last_update=now,
        creation_ranks=ranks,
        tier_bytes=tier_bytes,
        mem_ratio=mem_ratio,
    )
    tree = compressed_tree(list(db.members.values()), db.domain_numbers, ranks)
    return Decision((PutPool(pool),), CreatePlan(pool, tree))


def check_label_is_free(db: SystemDatabase, uuid: str, label: str) -> None:
    """Raises Fault 609 where another pool than `uuid` has the label."""
    holder = db.pool_of_label(label)
    if holder is not None and holder.uuid != uuid:
        raise server_faults.pool_duplicate_label(label)


def _place(db: SystemDatabase, request: CreateRequest, pick: Pick) -> tuple[int, ...]:
    available = available_ranks(db)
    if request.ranks:
        asked = RankSet(request.ranks)
        if wrong := asked - available:
            raise server_faults.pool_invalid_ranks(str(wrong), len(wrong))
        return asked.ranks
    if request.num_ranks > len(available):
        raise server_faults.pool_invalid_rank_count(request.num_ranks, len(available))
    if not available:
        raise ControlError("pool request contains zero target ranks: no rank of the system is available")
    if request.num_ranks:
        return RankSet(pick(available.ranks, request.num_ranks)).ranks
    return available.ranks


def _check_service_replicas(requested: int, ranks: int) -> None:
    most = min(ranks, SERVICE_REPLICAS_MAX)
    if requested > most:
        raise server_faults.pool_invalid_service_replicas(most)


def _mem_ratio(request: CreateRequest, engines: Engines) -> float:
    if engines.md_on_ssd:
        return request.mem_ratio or MEM_RATIO_DEFAULT
    if request.mem_ratio > 0:
        raise server_faults.pool_mem_ratio_without_roles()
    return 0.0


def _size(request: CreateRequest, engines: Engines, ranks: int) -> tuple[int, int]:
    """Bytes per rank of each tier."""
    total, per_tier, ratio = request.total_bytes, request.tier_bytes, request.tier_ratio
    if len(per_tier) == 2 and not ratio and not total:
        scm, nvme = per_tier
        if nvme and not engines.has_bdevs:
            raise ControlError(
                f"{format_binary(nvme)} NVMe requested for pool but config has zero bdevs: "
                "leave out the NVMe size, or configure block devices"
            )
    elif not per_tier and len(ratio) == 2 and total > 0:
        if not engines.has_bdevs:
            ratio = (1.0, 0.0)
        scm, nvme = (int(total * share) // ranks for share in ratio)
    else:
        raise ControlError(
            "unexpected pool create params: either two sizes per rank, or a total size with two ratios, are needed"
        )
    _check_sizes(scm, nvme, engines.targets, ranks)
    return scm, nvme


def _check_sizes(scm: int, nvme: int, targets: int, ranks: int) -> None:
    if targets <= 0:
        raise ControlError("zero target count: no engine of this host is configured")
    least_scm = SCM_BYTES_PER_TARGET_MIN * targets * ranks
    least_nvme = NVME_BYTES_PER_TARGET_MIN * targets * ranks
    least = least_scm + (least_nvme if nvme else 0)
    # What the resolution asks for is a little more, so that ratios and rounding cannot bring it below again.
    if scm * ranks < least_scm:
        raise server_faults.pool_scm_too_small(
            format_binary(SCM_BYTES_PER_TARGET_MIN), format_binary(least + MIB), format_binary(least_scm + MIB)
        )
    if nvme and nvme * ranks < least_nvme:
        raise server_faults.pool_nvme_too_small(
            format_binary(NVME_BYTES_PER_TARGET_MIN), format_binary(least + MIB), format_binary(least_nvme + MIB)
        )


def decide_created(db: SystemDatabase, uuid: str, replicas: Sequence[int], now: datetime) -> Decision[PoolService]:
    """The engine has created the pool; it is in service on `replicas`.

    Raises PoolNotFoundError where the record is gone, DaosError -1013 where the pool is being destroyed: its
    storage then has to be given back.
    """
    pool = _record(db, uuid)
    if pool.state is PoolState.DESTROYING:
        raise DaosError(Status.AGAIN, f"pool {uuid} is being destroyed")
    # Its service may have reported before the engine's reply came; then it knows better.
    known = pool.replicas if pool.service_term else tuple(replicas)
    created = replace(pool, state=PoolState.READY, replicas=known, last_update=now)
    return Decision((PutPool(created),), created)


def decide_create_failed(db: SystemDatabase, uuid: str) -> Decision[None]:
    """The engine did not create the pool: nothing of it is left to record. Done twice, it changes nothing.

    A pool that is in service after all stays, and one that is being destroyed is left to whoever destroys it.
    """
    pool = db.pools.get(uuid)
    if pool is None or pool.state is not PoolState.CREATING:
        return Decision((), None)
    return Decision((RemovePool(uuid),), None)


def decide_abandoned(db: SystemDatabase, uuid: str, now: datetime) -> Decision[None]:
    """Nobody will finish creating the pool, and engines may have it or not: it is to be destroyed, and its label
    is free at once. Nothing changes for one that is ready or gone; done twice, it changes nothing."""
    pool = db.pools.get(uuid)
    if pool is None or pool.state is not PoolState.CREATING:
        return Decision((), None)
    return Decision((PutPool(replace(pool, state=PoolState.DESTROYING, label="", last_update=now)),), None)


def find(db: SystemDatabase, pool_id: str) -> PoolService:
    """The pool of a uuid or a label, in whatever state. Raises PoolNotFoundError, ControlError for an empty id."""
    if not pool_id:
        raise ControlError("empty pool id")
    # A label never has the form of a uuid with dashes, but it may be 32 hexadecimal digits.
    by_label = db.pool_of_label(pool_id)
    if by_label is not None:
        return by_label
    uuid = canonical_uuid(pool_id)
    if uuid is None:
        raise PoolNotFoundError(label=pool_id)
    return _record(db, uuid)


def ready(db: SystemDatabase, pool_id: str) -> PoolService:
    """The pool of a uuid or a label, for a call to its service.

    Raises PoolNotFoundError, DaosError -1013 while it is being created or destroyed.
    """
    pool = find(db, pool_id)
    if pool.state is not PoolState.READY:
        raise DaosError(Status.AGAIN, f"pool {pool.uuid} is {pool.state.wire_name.lower()}")
    return pool


def service_ranks(db: SystemDatabase, pool: PoolService) -> tuple[int, ...]:
    """The replicas of the pool's service that can be asked now. Raises ControlError where none can."""
    members = (db.member_of_rank(rank) for rank in pool.replicas)
    ranks = tuple(member.rank for member in members if member is not None and member.is_available)
    if not ranks:
        raise ControlError(f"unable to find any available service ranks for pool {pool.uuid}")
    return ranks


@dataclass(frozen=True, slots=True)
class EvictVerdict:
    """After evicting a pool's handles: whether to record it as DESTROYING, and the status to answer with at once
    (None: go on and destroy it)."""

    mark_destroying: bool
    answer: int | None


def after_evict(status: int, *, force: bool) -> EvictVerdict:
    """What follows from the status of evicting a pool that is to be destroyed.

    A busy pool, or one without service, is left as it was unless `force`. Any other failure leaves it DESTROYING,
    because some handles are gone already: destroying it again goes on from there.
    """
    if force:
        return EvictVerdict(mark_destroying=True, answer=None)
    untouched = status in (Status.BUSY, Status.NO_SERVICE)
    return EvictVerdict(mark_destroying=not untouched, answer=None if status == Status.SUCCESS else status)


def decide_destroying(db: SystemDatabase, uuid: str, now: datetime) -> Decision[PoolService]:
    """Record the pool as being destroyed: from now on nothing but its destruction is done to it."""
    pool = _record(db, uuid)
    if pool.state is PoolState.DESTROYING:
        return Decision((), pool)
    destroying = replace(pool, state=PoolState.DESTROYING, last_update=now)
    return Decision((PutPool(destroying),), destroying)


def destroy_ranks(db: SystemDatabase) -> tuple[int, ...]:
    """The ranks that are told to destroy a pool: all of the group map, for some may hold leftovers of it.

    Raises SystemUnavailableError where the map is empty.
    """
    everybody = group_map(db)
    everybody.check()
    return everybody.ranks


def decide_destroyed(db: SystemDatabase, uuid: str) -> Decision[None]:
    """All engines have destroyed the pool. Done twice, it changes nothing."""
    return Decision((RemovePool(uuid),) if uuid in db.pools else (), None)


def decide_replicas_updated(db: SystemDatabase, event: RasEvent, now: datetime) -> Decision[bool]:
    """A pool's service reports its ranks; whether that changed the record.

    Reports about unknown pools and those being destroyed, and late ones of an earlier leader of the service, are
    ignored. One about a pool in creation makes it READY: it is in service, whatever became of the reply.
    """
    if not isinstance(event.detail, PoolReplicas):
        return Decision((), False)
    uuid = canonical_uuid(event.pool_uuid)
    pool = None if uuid is None else db.pools.get(uuid)
    if pool is None or pool.state is PoolState.DESTROYING or event.detail.term < pool.service_term:
        return Decision((), False)
    updated = replace(
        pool, state=PoolState.READY, replicas=event.detail.ranks, service_term=event.detail.term, last_update=now
    )
    if replace(updated, last_update=pool.last_update) == pool:
        return Decision((), False)
    return Decision((PutPool(updated),), True)


def decide_label(db: SystemDatabase, uuid: str, label: str, now: datetime) -> Decision[PoolService]:
    """Record another label, once the pool's service has taken it. Raises Fault 609, PoolNotFoundError."""
    pool = _record(db, uuid)
    check_label_is_free(db, uuid, label)
    if pool.label == label:
        return Decision((), pool)
    labelled = replace(pool, label=label, last_update=now)
    return Decision((PutPool(labelled),), labelled)


def unfinished(db: SystemDatabase) -> tuple[PoolService, ...]:
    """Pools that are half created or half destroyed, in the order of uuids."""
    return tuple(pool for _, pool in sorted(db.pools.items()) if pool.state is not PoolState.READY)


def _record(db: SystemDatabase, uuid: str) -> PoolService:
    pool = db.pools.get(uuid)
    if pool is None:
        raise PoolNotFoundError(uuid=uuid)
    return pool
