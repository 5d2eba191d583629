"""Pools: placing, sizing, recording, finding and destroying them."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import (
    Code,
    ControlError,
    DaosError,
    Fault,
    PoolNotFoundError,
    Status,
    SystemUnavailableError,
)
from daos_control.system.changes import PutPool
from daos_control.system.database import SystemDatabase
from daos_control.system.events import PoolReplicas, RasEvent, RasId, RasType, Severity
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.pools import (
    CreatePlan,
    CreateRequest,
    Engines,
    EvictVerdict,
    ExistingPool,
    UnfinishedPool,
    after_evict,
    decide_abandoned,
    decide_create,
    decide_create_failed,
    decide_created,
    decide_destroyed,
    decide_destroying,
    decide_label,
    decide_replicas_updated,
    destroy_ranks,
    find,
    ready,
    service_ranks,
    unfinished,
)
from daos_control.system.state import MemberState
from unit.system.builders import LATER, NOW, database, member, pool, uuid

S = MemberState
GIB = 1 << 30
MIB = 1 << 20
SCM_ONLY = Engines(targets=2, has_bdevs=False, md_on_ssd=False)
WITH_NVME = Engines(targets=2, has_bdevs=True, md_on_ssd=False)
MD_ON_SSD = Engines(targets=2, has_bdevs=True, md_on_ssd=True)
REQUEST = CreateRequest(uuid=uuid(0xB00), label="tank", tier_bytes=(GIB, 0))


def pick(ranks: object, count: int) -> list[int]:
    return random.Random(7).sample(list(ranks), count)  # type: ignore[call-overload]


def system(count: int = 4) -> SystemDatabase:
    return database(*(member(rank) for rank in range(count)))


def create(db: SystemDatabase, engines: Engines = SCM_ONLY, **changes: object) -> CreatePlan:
    decision = decide_create(db, replace(REQUEST, **changes), engines, LATER, pick=pick)  # type: ignore[arg-type]
    assert isinstance(decision.result, CreatePlan)
    db.apply(decision.changes)
    db.check_invariants()
    return decision.result


def fault_of(db: SystemDatabase, engines: Engines = SCM_ONLY, **changes: object) -> Fault:
    with pytest.raises(Fault) as caught:
        create(db, engines, **changes)
    return caught.value


# Placing.


def test_a_pool_takes_all_available_ranks_unless_told_otherwise() -> None:
    db = database(member(0), member(1, S.STOPPED), member(2, S.READY), member(3, S.EXCLUDED))
    plan = create(db)
    assert plan.pool.creation_ranks == (0, 2)
    assert plan.pool.state is PoolState.CREATING
    assert db.pools[plan.pool.uuid] == plan.pool
    assert plan.fault_domains == (0, 2, 1, 2, 1, 2, 1, 1, 4, 1, 0, 2)


def test_named_ranks_are_sorted_and_counted_once() -> None:
    assert create(system(), ranks=(3, 1, 3)).pool.creation_ranks == (1, 3)


@given(st.integers(1, 6), st.integers(1, 6))
def test_a_number_of_ranks_is_chosen_among_the_available(count: int, wanted: int) -> None:
    db = system(count)
    if wanted <= count:
        ranks = create(db, num_ranks=wanted).pool.creation_ranks
        assert len(ranks) == wanted
        assert sorted(set(ranks)) == list(ranks)
        assert set(ranks) <= set(db.ranks)
    else:
        assert fault_of(db, num_ranks=wanted).code == Code.SERVER_POOL_INVALID_NUM_RANKS


@pytest.mark.parametrize("state", [s for s in MemberState if s not in (S.UNKNOWN, S.READY, S.JOINED)])
def test_a_named_rank_that_is_not_available_is_fault_606(state: MemberState) -> None:
    error = fault_of(database(member(0), member(1, state)), ranks=(0, 1, 9))
    assert error.code == Code.SERVER_POOL_INVALID_RANKS
    assert "ranks 1,9" in error.description


def test_without_an_available_rank_there_is_no_pool() -> None:
    with pytest.raises(ControlError, match="zero target ranks"):
        create(database(member(0, S.STOPPED)))


@pytest.mark.parametrize(
    ("ranks", "replicas", "allowed"), [(1, 1, True), (1, 3, False), (20, 9, True), (20, 11, False)]
)
def test_the_service_has_at_most_nine_replicas_and_one_per_rank(ranks: int, replicas: int, allowed: bool) -> None:
    if allowed:
        create(system(ranks), service_replicas=replicas)
    else:
        error = fault_of(system(ranks), service_replicas=replicas)
        assert error.code == Code.SERVER_POOL_INVALID_SERVICE_REPS
        assert str(min(ranks, 9)) in error.description


# Labels.


def test_a_pool_without_a_label_is_fault_615() -> None:
    assert fault_of(system(), label="").code == Code.SERVER_POOL_NO_LABEL


def test_a_label_that_is_none_is_refused() -> None:
    with pytest.raises(ControlError, match="invalid label"):
        create(system(), label="a b")


@pytest.mark.parametrize("state", list(PoolState))
def test_a_label_of_another_pool_in_any_state_is_fault_609(state: PoolState) -> None:
    db = database(member(0), pool(1, state, label="tank"))
    assert fault_of(db).code == Code.SERVER_POOL_DUPLICATE_LABEL


# Sizing.


@pytest.mark.parametrize(
    ("engines", "changes", "tier_bytes", "mem_ratio"),
    [
        (SCM_ONLY, {"tier_bytes": (GIB, 0)}, (GIB, 0), 0.0),
        (WITH_NVME, {"tier_bytes": (GIB, 4 * GIB)}, (GIB, 4 * GIB), 0.0),
        (SCM_ONLY, {"total_bytes": 4 * GIB, "tier_ratio": (0.06, 0.94)}, (GIB, 0), 0.0),
        (WITH_NVME, {"total_bytes": 400 * GIB, "tier_ratio": (0.06, 0.94)}, (6442450944, 100931731456), 0.0),
        (WITH_NVME, {"total_bytes": 4 * GIB, "tier_ratio": (1.0, 0.0)}, (GIB, 0), 0.0),
        (MD_ON_SSD, {"tier_bytes": (GIB, 4 * GIB)}, (GIB, 4 * GIB), 1.0),
        (MD_ON_SSD, {"tier_bytes": (GIB, 4 * GIB), "mem_ratio": 0.5}, (GIB, 4 * GIB), 0.5),
        (SCM_ONLY, {"tier_bytes": (32 * MIB, 0)}, (32 * MIB, 0), 0.0),
        (WITH_NVME, {"tier_bytes": (32 * MIB, 2 * GIB)}, (32 * MIB, 2 * GIB), 0.0),
    ],
)
def test_sizes_per_rank(
    engines: Engines, changes: dict[str, object], tier_bytes: tuple[int, int], mem_ratio: float
) -> None:
    made = create(system(), engines, **{"tier_bytes": (), **changes}).pool
    assert made.tier_bytes == tier_bytes
    assert made.mem_ratio == mem_ratio


@given(st.integers(1, 1 << 50), st.floats(0, 1), st.integers(1, 5))
def test_tiers_never_take_more_than_the_total(total: int, share: float, ranks: int) -> None:
    db = system(ranks)
    too_small = (Code.SERVER_POOL_SCM_TOO_SMALL, Code.SERVER_POOL_NVME_TOO_SMALL)
    try:
        made = create(db, WITH_NVME, tier_bytes=(), total_bytes=total, tier_ratio=(share, 1 - share)).pool
    except Fault as error:
        if error.code not in too_small:
            raise
        assert db.pools == {}
    else:
        assert sum(made.tier_bytes) * ranks <= total * (1 + 1e-9)


@pytest.mark.parametrize(
    ("engines", "changes", "code", "resolution"),
    [
        (
            SCM_ONLY,
            {"tier_bytes": (32 * MIB - 1, 0)},
            Code.SERVER_POOL_SCM_TOO_SMALL,
            "at least 129 MiB, with at least 129 MiB of SCM",
        ),
        (
            WITH_NVME,
            {"tier_bytes": (1, 2 * GIB)},
            Code.SERVER_POOL_SCM_TOO_SMALL,
            "at least 8.1 GiB, with at least 129 MiB of SCM",
        ),
        (
            WITH_NVME,
            {"tier_bytes": (32 * MIB, 2 * GIB - 1)},
            Code.SERVER_POOL_NVME_TOO_SMALL,
            "at least 8.1 GiB, with at least 8.0 GiB of NVMe",
        ),
        (SCM_ONLY, {"mem_ratio": 0.5}, Code.SERVER_POOL_MEM_RATIO_NO_ROLES, "--mem-ratio"),
    ],
)
def test_sizes_that_cannot_be(engines: Engines, changes: dict[str, object], code: Code, resolution: str) -> None:
    error = fault_of(system(), engines, **changes)
    assert error.code == code
    assert resolution in error.resolution


@pytest.mark.parametrize(
    ("engines", "changes", "words"),
    [
        (SCM_ONLY, {"tier_bytes": (GIB, GIB)}, "zero bdevs"),
        (SCM_ONLY, {"tier_bytes": ()}, "unexpected pool create params"),
        (SCM_ONLY, {"tier_bytes": (GIB,)}, "unexpected pool create params"),
        (SCM_ONLY, {"tier_bytes": (GIB, 0), "total_bytes": GIB}, "unexpected pool create params"),
        (SCM_ONLY, {"tier_bytes": (GIB, 0), "tier_ratio": (1.0, 0.0)}, "unexpected pool create params"),
        (SCM_ONLY, {"tier_bytes": (), "total_bytes": 0, "tier_ratio": (1.0, 0.0)}, "unexpected pool create"),
        (Engines(0, has_bdevs=False, md_on_ssd=False), {}, "zero target count"),
        (SCM_ONLY, {"uuid": "tank"}, "failed to parse pool UUID"),
    ],
)
def test_requests_that_make_no_sense(engines: Engines, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ControlError, match=words):
        create(system(), engines, **changes)


# The record of a pool, over every state and every input.


@pytest.mark.parametrize("state", list(PoolState))
def test_creating_again_with_the_same_uuid(state: PoolState) -> None:
    known = pool(1, state)
    decision = decide_create(
        database(member(0), known), replace(REQUEST, uuid=known.uuid), SCM_ONLY, NOW, pick=pick
    )
    assert decision.changes == ()
    assert decision.result == (ExistingPool(known) if state is PoolState.READY else UnfinishedPool(known))


def after(db: SystemDatabase, decision: object) -> PoolService | None:
    db.apply(decision.changes)  # type: ignore[attr-defined]
    db.check_invariants()
    return db.pools.get(pool(1).uuid)


def updated(term: int = 2, *ranks: int, which: str | None = None) -> RasEvent:
    return RasEvent(
        RasId.POOL_REPLICAS_UPDATED,
        RasType.STATE_CHANGE,
        Severity.NOTICE,
        "",
        "",
        pool_uuid=which or pool(1).uuid,
        detail=PoolReplicas(ranks or (3, 4), term),
    )


C, R, D = PoolState.CREATING, PoolState.READY, PoolState.DESTROYING


KEY = pool(1).uuid
INPUTS = {
    "created": lambda db: decide_created(db, KEY, (0,), NOW),
    "create failed": lambda db: decide_create_failed(db, KEY),
    "destroying": lambda db: decide_destroying(db, KEY, NOW),
    "destroyed": lambda db: decide_destroyed(db, KEY),
    "replicas updated": lambda db: decide_replicas_updated(db, updated(), NOW),
}


@pytest.mark.parametrize(
    ("state", "event", "following"),
    [
        (C, "created", R),
        (R, "created", R),
        (D, "created", "try again"),
        (C, "create failed", None),
        (R, "create failed", R),
        (D, "create failed", D),
        (C, "destroying", D),
        (R, "destroying", D),
        (D, "destroying", D),
        (C, "destroyed", None),
        (R, "destroyed", None),
        (D, "destroyed", None),
        (C, "replicas updated", R),
        (R, "replicas updated", R),
        (D, "replicas updated", D),
    ],
)
def test_every_state_under_every_input(state: PoolState, event: str, following: PoolState | str | None) -> None:
    db = database(member(0), pool(1, state))
    if following == "try again":
        with pytest.raises(DaosError) as caught:
            INPUTS[event](db)
        assert caught.value.status == Status.AGAIN
    else:
        record = after(db, INPUTS[event](db))
        assert (record.state if record else None) is following


def test_the_replicas_come_from_the_engine() -> None:
    db = database(member(0), pool(1, C, replicas=()))
    made = after(db, decide_created(db, pool(1).uuid, [2, 1], LATER))
    assert made is not None
    assert (made.replicas, made.last_update) == ((2, 1), LATER)


def test_a_report_of_the_service_that_was_faster_than_the_reply_stays() -> None:
    db = database(member(0), pool(1, C, replicas=()))
    after(db, decide_replicas_updated(db, updated(5, 1, 2, 3), NOW))
    made = after(db, decide_created(db, pool(1).uuid, [9], LATER))
    assert made is not None
    assert (made.state, made.replicas) == (R, (1, 2, 3))


def test_a_late_report_of_an_earlier_leader_is_ignored() -> None:
    db = database(member(0), pool(1, R))
    assert decide_replicas_updated(db, updated(5, 1, 2, 3), NOW).result
    after(db, decide_replicas_updated(db, updated(5, 1, 2, 3), NOW))
    assert not decide_replicas_updated(db, updated(4, 7), NOW).result
    assert not decide_replicas_updated(db, updated(5, 1, 2, 3), LATER).changes


def test_a_report_about_nothing_is_ignored() -> None:
    db = database(member(0), pool(1))
    for event in (updated(which=uuid(5)), updated(which="nonsense"), replace(updated(), detail="text")):
        assert not decide_replicas_updated(db, event, NOW).result


def test_inputs_about_an_unknown_pool() -> None:
    db = database(member(0))
    with pytest.raises(PoolNotFoundError):
        decide_created(db, uuid(1), (), NOW)
    with pytest.raises(PoolNotFoundError):
        decide_destroying(db, uuid(1), NOW)
    with pytest.raises(PoolNotFoundError):
        decide_label(db, uuid(1), "x", NOW)
    assert decide_create_failed(db, uuid(1)).changes == ()
    assert decide_destroyed(db, uuid(1)).changes == ()


@pytest.mark.parametrize(
    ("status", "force", "verdict"),
    [
        (0, False, EvictVerdict(mark_destroying=True, answer=None)),
        (0, True, EvictVerdict(mark_destroying=True, answer=None)),
        (Status.BUSY, False, EvictVerdict(mark_destroying=False, answer=Status.BUSY)),
        (Status.NO_SERVICE, False, EvictVerdict(mark_destroying=False, answer=Status.NO_SERVICE)),
        (Status.TIMEDOUT, False, EvictVerdict(mark_destroying=True, answer=Status.TIMEDOUT)),
        (Status.BUSY, True, EvictVerdict(mark_destroying=True, answer=None)),
        (Status.TIMEDOUT, True, EvictVerdict(mark_destroying=True, answer=None)),
    ],
)
def test_what_follows_from_evicting(status: int, force: bool, verdict: EvictVerdict) -> None:
    assert after_evict(status, force=force) == verdict


def test_all_ranks_of_the_map_are_told_to_destroy() -> None:
    assert destroy_ranks(database(member(0), member(1, S.EXCLUDED), member(2, S.STOPPED))) == (0, 2)
    with pytest.raises(SystemUnavailableError, match="empty group map"):
        destroy_ranks(database())


def test_the_leader_finishes_what_it_finds_unfinished() -> None:
    db = database(pool(1, C), pool(2, R), pool(3, D))
    assert [p.label for p in unfinished(db)] == ["pool1", "pool3"]


def test_an_abandoned_pool_is_to_be_destroyed_and_its_label_is_free() -> None:
    db = database(pool(1, C), pool(2, R), pool(3, D))
    creating, ready, destroying = sorted(db.pools)
    (change,) = decide_abandoned(db, creating, NOW).changes
    assert isinstance(change, PutPool)
    assert (change.pool.state, change.pool.label) == (D, "")
    for other in (ready, destroying, uuid(9)):
        assert decide_abandoned(db, other, NOW).changes == ()


# Finding.


def test_a_pool_is_found_by_label_and_by_uuid() -> None:
    bare = uuid(0x77).replace("-", "")
    db = database(pool(1), pool(2, label=bare), pool(3, label=""))
    assert find(db, "pool1") == pool(1)
    assert find(db, pool(1).uuid.upper()) == pool(1)
    assert find(db, bare).label == bare
    assert find(db, pool(3).uuid.replace("-", "")).label == ""


def test_a_pool_that_is_not_there_is_told_by_what_was_asked_for() -> None:
    with pytest.raises(PoolNotFoundError) as by_label:
        find(database(), "tank")
    assert (by_label.value.label, by_label.value.uuid) == ("tank", "")
    with pytest.raises(PoolNotFoundError) as by_uuid:
        find(database(), uuid(3))
    assert (by_uuid.value.label, by_uuid.value.uuid) == ("", uuid(3))
    with pytest.raises(ControlError, match="empty pool id"):
        find(database(), "")


@pytest.mark.parametrize("state", list(PoolState))
def test_calls_to_a_pool_that_is_not_ready_are_to_be_tried_again(state: PoolState) -> None:
    db = database(pool(1, state))
    if state is PoolState.READY:
        assert ready(db, "pool1") == pool(1)
    else:
        with pytest.raises(DaosError) as caught:
            ready(db, "pool1")
        assert caught.value.status == Status.AGAIN


def test_the_service_is_asked_on_its_available_ranks() -> None:
    db = database(member(0, S.STOPPED), member(1), member(2, S.READY))
    assert service_ranks(db, pool(1, replicas=(2, 0, 1, 9))) == (2, 1)
    with pytest.raises(ControlError, match="any available service ranks"):
        service_ranks(db, pool(1, replicas=(0, 9)))


def test_a_label_is_changed_where_it_is_free() -> None:
    db = database(pool(1), pool(2))
    assert decide_label(db, pool(1).uuid, "pool1", LATER).changes == ()
    made = after(db, decide_label(db, pool(1).uuid, "other", LATER))
    assert made is not None
    assert made.label == "other"
    assert find(db, "other").uuid == pool(1).uuid
    with pytest.raises(Fault) as caught:
        decide_label(db, pool(1).uuid, "pool2", LATER)
    assert caught.value.code == Code.SERVER_POOL_DUPLICATE_LABEL
