"""A random life of a system, for stateful tests: everything that may be decided, in any order."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daos_control.faults import ControlError, DaosError, Fault, PoolNotFoundError
from daos_control.system import events, join, membership, pools, properties
from daos_control.system.changes import BumpMapVersion, Change
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.events import PoolReplicas, RasEvent
from daos_control.system.fault_domain import levels_of
from daos_control.system.join import JoinRequest, ReplaceCheck
from daos_control.system.member import NIL_RANK, Member
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult
from daos_control.system.state import MemberState, may_follow
from unit.system.builders import NOW, PROVIDER, uuid

S = MemberState
ENGINES = st.integers(0, 7)
RANKS = st.integers(0, 9)
INCARNATIONS = st.integers(1, 30)
POOLS = st.integers(0, 3)
STATES = st.sampled_from([s for s in MemberState if s is not S.UNKNOWN])
ALLOWED_ERRORS = (Fault, ControlError, DaosError, PoolNotFoundError)


class SystemMachine(RuleBasedStateMachine):
    """Checks after each step: the database's own invariants; I5 rank and uuid one to one, and only a replace or a
    removal parts them; versions never go back; I7 only legal transitions but for explicit acts; I8 incarnations
    only grow but for engines that had left; a refusal changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.db = SystemDatabase()
        self.now = NOW
        self.given: dict[int, str] = {}
        """Which uuid each rank was given to."""

    def commit(self, changes: Sequence[Change], base: SystemDatabase, result: SystemDatabase) -> None:
        """For subclasses that keep what was decided."""

    def apply(self, changes: Sequence[Change]) -> None:
        base = self.db
        result = base.copy()
        result.apply(changes)
        result.check_invariants()
        assert result.version == base.version + len(changes)
        assert result.map_version >= base.map_version
        assert result.next_rank >= base.next_rank
        assert base.domain_numbers.items() <= result.domain_numbers.items()
        if changes:
            self.commit(changes, base, result)
        self.db = result

    def decide(self, function, *args, explicit: bool = False, **kwargs) -> Decision | None:
        """Take a decision and apply it; None where it was refused."""
        self.now += timedelta(milliseconds=1)
        before = self.db.copy()
        try:
            decision = function(self.db, *args, **kwargs)
        except ALLOWED_ERRORS:
            assert (self.db.members, self.db.version) == (before.members, before.version)
            return None
        self.apply(decision.changes)
        for key, member in self.db.members.items():
            known = before.members.get(key)
            if known is None or known == member:
                continue
            assert known.rank == member.rank
            if not explicit:
                assert known.state is member.state or may_follow(known.state, member.state)
            assert member.incarnation >= known.incarnation or known.state is S.EXCLUDED
        return decision

    @initialize()
    def step_up(self) -> None:
        self.decide(properties.decide_fabric_providers, [PROVIDER], self.now)

    # Members.

    def request(self, engine: int, incarnation: int, domain: str) -> JoinRequest:
        return JoinRequest(
            uuid=uuid(engine),
            address=f"10.0.0.{engine // 2}:10001",
            fabric_uri=f"{PROVIDER}://10.0.0.{engine // 2}:{engine}",
            fault_domain=domain,
            incarnation=incarnation,
        )

    @rule(
        engine=ENGINES,
        incarnation=INCARNATIONS,
        rank=st.one_of(st.just(NIL_RANK), RANKS),
        domain=st.sampled_from(["/a", "/b", "/c", "/r/d"]),
        check_mode=st.booleans(),
    )
    def an_engine_joins(self, engine: int, incarnation: int, rank: int, domain: str, check_mode: bool) -> None:
        request = replace(self.request(engine, incarnation, domain), rank=rank, check_mode=check_mode)
        before = self.db
        decision = self.decide(join.decide_join, request, self.now, explicit=True)
        if decision is None:
            return
        made: Member = decision.result.member
        assert self.given.setdefault(made.rank, made.uuid) == made.uuid, "a rank was given to another uuid"
        assert decision.result.map_version == self.db.map_version
        known = before.members.get(made.uuid)
        assert known is None or known.state is not S.ADMIN_EXCLUDED

    @precondition(lambda self: self.db.members)
    @rule(data=st.data(), engine=ENGINES, enabled=st.booleans())
    def an_engine_replaces_another(self, data: st.DataObject, engine: int, enabled: bool) -> None:
        old = self.db.member_of_rank(data.draw(st.sampled_from(sorted(self.db.ranks))))
        assert old is not None
        request = JoinRequest(
            uuid=uuid(0x50 + engine),
            address=old.address,
            fabric_uri=old.fabric_uri,
            fault_domain=old.fault_domain,
            replace=True,
        )
        rank = join.replaced_rank(self.db, request) if uuid(0x50 + engine) != old.uuid else old.rank
        check = ReplaceCheck(rank, ("pool",) if enabled else ())
        decision = self.decide(join.decide_join, request, self.now, replace_check=check, explicit=True)
        if decision is not None:
            assert not enabled
            self.given[rank] = request.uuid

    @rule(rank=RANKS, incarnation=st.one_of(st.just(0), INCARNATIONS), swim=st.booleans())
    def an_engine_dies(self, rank: int, incarnation: int, swim: bool) -> None:
        before = self.db.member_of_rank(rank)
        event = events.engine_died("h", 0, rank, incarnation, "signal 9", 1, now=self.now)
        function = membership.decide_swim_rank_dead if swim else membership.decide_engine_died
        decision = self.decide(function, event, self.now)
        assert decision is not None
        if before is not None and 0 < incarnation < before.incarnation:
            assert self.db.member_of_rank(rank) == before

    @rule(ranks=st.lists(st.tuples(RANKS, STATES), max_size=4), errored=st.booleans(), update=st.booleans())
    def an_operation_ends(self, ranks: list[tuple[int, MemberState]], errored: bool, update: bool) -> None:
        results = [
            RankResult(rank, "stop", S.ERRORED if errored else state, errored=errored, message="m")
            for rank, state in ranks
        ]
        decision = self.decide(membership.decide_states, results, self.now, update_on_failure=update)
        assert decision is not None
        assert len(decision.result) == len(results)

    @rule(ranks=st.sets(RANKS, max_size=3), clear=st.booleans())
    def an_administrator_excludes(self, ranks: set[int], clear: bool) -> None:
        self.decide(membership.decide_exclude, RankSet(ranks), self.now, clear=clear, explicit=True)

    @rule(rank=RANKS)
    def a_member_is_removed(self, rank: int) -> None:
        self.decide(membership.decide_remove, RankSet([rank]))
        self.given.pop(rank, None)

    @rule()
    def the_map_is_forced_out(self) -> None:
        self.apply([BumpMapVersion()])

    # Pools.

    @rule(number=POOLS, label=POOLS, ranks=st.sets(RANKS, max_size=3), seed=st.integers(0, 3))
    def a_pool_is_created(self, number: int, label: int, ranks: set[int], seed: int) -> None:
        request = pools.CreateRequest(
            uuid=uuid(0xA0 + number),
            label=f"pool{label}",
            ranks=tuple(ranks),
            num_ranks=seed,
            tier_bytes=(1 << 30, 0),
        )
        engines = pools.Engines(targets=1, has_bdevs=False, md_on_ssd=False)
        available = membership.available_ranks(self.db)
        decision = self.decide(pools.decide_create, request, engines, self.now, pick=random.Random(seed).sample)
        if decision is not None and isinstance(decision.result, pools.CreatePlan):
            assert RankSet(decision.result.pool.creation_ranks) - available == RankSet()

    @rule(number=POOLS, ok=st.booleans())
    def the_engine_answers(self, number: int, ok: bool) -> None:
        if ok:
            self.decide(pools.decide_created, uuid(0xA0 + number), (0,), self.now)
        else:
            self.decide(pools.decide_create_failed, uuid(0xA0 + number))

    @rule(number=POOLS, term=st.integers(0, 5), ranks=st.sets(RANKS, max_size=3))
    def the_replicas_change(self, number: int, term: int, ranks: set[int]) -> None:
        event = RasEvent(10, 1, 3, "", "", pool_uuid=uuid(0xA0 + number), detail=PoolReplicas(tuple(ranks), term))
        before = self.db.pools.get(uuid(0xA0 + number))
        self.decide(pools.decide_replicas_updated, event, self.now)
        after = self.db.pools.get(uuid(0xA0 + number))
        assert before is None or (after is not None and after.service_term >= before.service_term)

    @rule(number=POOLS, done=st.booleans())
    def a_pool_is_destroyed(self, number: int, done: bool) -> None:
        if done:
            self.decide(pools.decide_destroyed, uuid(0xA0 + number))
        else:
            self.decide(pools.decide_destroying, uuid(0xA0 + number), self.now)

    @rule(number=POOLS, label=POOLS)
    def a_pool_is_relabelled(self, number: int, label: int) -> None:
        self.decide(pools.decide_label, uuid(0xA0 + number), f"pool{label}", self.now)

    # Settings.

    @rule(
        key=st.sampled_from(["a", "b", "prop.x", "ключ"]), value=st.text(st.characters(codec="utf-8"), max_size=3)
    )
    def an_attribute_is_set(self, key: str, value: str) -> None:
        self.decide(properties.decide_set_attributes, {key: value})

    @rule(value=st.sampled_from(["none", "exclude", "exclude;pool_exclude;pool_rebuild", "nonsense"]))
    def the_policy_is_set(self, value: str) -> None:
        self.decide(properties.decide_set_properties, {"self_heal": value})

    @rule(provider=st.sampled_from([PROVIDER, "ofi+verbs"]))
    def a_leader_steps_up(self, provider: str) -> None:
        self.decide(properties.decide_fabric_providers, [provider], self.now)

    # What always holds.

    @invariant()
    def all_domains_have_one_depth(self) -> None:
        assert len({levels_of(m.fault_domain) for m in self.db.members.values()}) <= 1

    @invariant()
    def every_rank_is_with_the_uuid_it_was_given_to(self) -> None:
        assert {rank: key for rank, key in self.given.items() if rank in self.db.ranks} == self.db.ranks

    @invariant()
    def no_pool_is_lost_between_its_states(self) -> None:
        for found in self.db.pools.values():
            assert pools.find(self.db, found.label) == pools.find(self.db, found.uuid) == found
