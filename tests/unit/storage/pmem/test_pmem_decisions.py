"""Every state of persistent memory leads to one plan, or one Fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import Code, Fault
from daos_control.storage.pmem import decisions
from daos_control.storage.pmem.decisions import Action, Plan, Verb
from daos_control.storage.pmem.model import Health, Holding, Region, RegionKind, State, Survey
from unit.storage.pmem.samples import GIB, MIB, kernel_region, namespace, optane, region

STATES: list[tuple[tuple[Region, ...], State, int | None]] = [
    ((), State.NO_REGIONS, None),
    ((region(0),), State.FREE_CAPACITY, 0),
    ((region(0), region(1)), State.FREE_CAPACITY, None),
    ((region(0, free=0),), State.NO_FREE_CAPACITY, 0),
    ((region(0, free=0), region(1, free=0)), State.NO_FREE_CAPACITY, None),
    ((region(0, free=0), region(1)), State.FREE_CAPACITY, None),
    ((region(1), region(0, free=GIB)), State.PARTIAL_FREE, 0),
    ((region(0), region(1, kind=RegionKind.NOT_INTERLEAVED)), State.NOT_INTERLEAVED, 1),
    ((region(0), region(1, kind=RegionKind.VOLATILE)), State.UNKNOWN_MODE, 1),
    ((region(0, kind=RegionKind.UNKNOWN, health=Health.ERROR),), State.UNKNOWN_MODE, 0),
    ((region(0, health=Health.ERROR),), State.NOT_HEALTHY, 0),
    ((region(0, health=Health.PENDING), region(1, health=Health.LOCKED)), State.FREE_CAPACITY, None),
]


@pytest.mark.parametrize(("regions", "state", "socket"), STATES)
def test_the_state_of_regions(regions: tuple[Region, ...], state: State, socket: int | None) -> None:
    found = decisions.state_of(optane(*regions))
    assert (found.state, found.socket_id) == (state, socket)


def test_several_regions_of_a_socket_are_bad_where_goals_make_them_and_usual_elsewhere() -> None:
    regions = (region(0), region(0))
    with pytest.raises(Fault) as caught:
        decisions.state_of(optane(*regions))
    assert caught.value.code == Code.SCM_BAD_REGION
    assert decisions.state_of(Survey(False, regions)).state is State.FREE_CAPACITY


def test_labels_of_states_are_those_of_daos_and_numbers_stay() -> None:
    assert [(state.value, state.label) for state in State] == [
        (0, "Unknown"),
        (1, "NoRegions"),
        (2, "FreeCapacity"),
        (3, "NoFreeCapacity"),
        (4, "NotInterleaved"),
        (5, "NoModules"),
        (6, "NotHealthy"),
        (7, "PartialFreeCapacity"),
        (8, "UnknownMode"),
    ]


# Prepare


def verbs(plan: Plan) -> list[Verb]:
    return [action.verb for action in plan.actions]


def test_no_regions_have_goals_made_for_the_socket_and_a_reboot() -> None:
    plan = decisions.plan_prepare(optane(), 1, 1)
    assert plan.actions == (Action(Verb.DELETE_GOALS, socket=1), Action(Verb.CREATE_GOALS, socket=1))
    assert plan.reboot


@pytest.mark.parametrize("count", [1, 2, 4])
def test_free_regions_are_divided_evenly_and_full_ones_left_alone(count: int) -> None:
    survey = optane(region(0), region(1, free=0), region(2), names=("1.0",))
    plan = decisions.plan_prepare(survey, count, None)
    creations = [Action(Verb.CREATE, f"region{n}", 8 * GIB // count) for n in (0, 2) for _ in range(count)]
    assert plan.actions == (Action(Verb.DELETE_GOALS), *creations)
    assert not plan.reboot


def test_regions_are_found_by_interleave_set_before_their_number() -> None:
    spaces = (kernel_region(0, iset_id=101), kernel_region(1, iset_id=100))
    plan = decisions.plan_prepare(optane(region(0), spaces=spaces), 1, None)
    assert plan.actions[1].target == "region1"
    unknown = (kernel_region(0, iset_id=0), kernel_region(1, iset_id=7))
    plan = decisions.plan_prepare(optane(region(0), spaces=unknown), 1, None)
    assert plan.actions[1].target == "region0"


def test_what_is_full_is_left_as_it_is() -> None:
    plan = decisions.plan_prepare(optane(region(0, free=0), names=("0.0",)), 1, None)
    assert plan.actions == (Action(Verb.DELETE_GOALS),)


def test_a_prepare_that_was_cut_off_is_finished() -> None:
    survey = optane(region(0, free=2 * GIB), names=("0.0", "0.1", "0.2"))
    assert verbs(decisions.plan_prepare(survey, 4, None)) == [Verb.DELETE_GOALS, Verb.CREATE]


@pytest.mark.parametrize(
    ("survey", "count", "code", "says"),
    [
        (optane(region(0, kind=RegionKind.NOT_INTERLEAVED)), 1, Code.SCM_BAD_REGION, "not interleaved"),
        (optane(region(1, health=Health.ERROR)), 1, Code.SCM_BAD_REGION, "socket 1 is not healthy"),
        (optane(region(0, kind=RegionKind.VOLATILE)), 1, Code.SCM_BAD_REGION, "not in AppDirect mode"),
        (optane(region(0, free=GIB), names=("0.0",)), 2, Code.SCM_BAD_REGION, "used in part"),
        (optane(region(0, free=4 * GIB), names=("0.0",)), 1, Code.SCM_BAD_REGION, "used in part"),
        (optane(region(0)), 3, Code.SCM_INVALID_PMEM, "cannot be divided into 3"),
        (optane(region(3), spaces=(kernel_region(0),)), 1, Code.SCM_INVALID_PMEM, "no region for .* socket 3"),
        (optane(region(0), names=("0.0",)), 1, Code.SCM_INVALID_PMEM, "has 1 namespaces"),
    ],
)
def test_states_that_stand_against_a_prepare(survey: Survey, count: int, code: Code, says: str) -> None:
    with pytest.raises(Fault, match=says) as caught:
        decisions.plan_prepare(survey, count, None)
    assert caught.value.code == code


@pytest.mark.parametrize("states", STATES)
def test_a_prepare_never_removes_anything(states: tuple[tuple[Region, ...], State, int | None]) -> None:
    try:
        plan = decisions.plan_prepare(optane(*states[0]), 1, None, force=True)
    except Fault:
        return
    assert not {Verb.DISABLE, Verb.DESTROY} & set(verbs(plan))


def kernel_only(*spaces: object, names: tuple[object, ...] = ()) -> Survey:
    return Survey(
        False,
        decisions.platform_view(spaces, names),
        spaces,
        names,  # type: ignore[arg-type]
    )


def test_without_goals_sizes_are_rounded_down_and_the_remnant_counts_as_used() -> None:
    size = 511 * MIB
    survey = kernel_only(kernel_region(0, available=size, size=size))
    plan = decisions.plan_prepare(survey, 3, None)
    assert plan.actions == (Action(Verb.CREATE, "region0", 160 * MIB),) * 3
    made = tuple(namespace(f"0.{n}") for n in range(3))
    after = kernel_only(kernel_region(0, available=size - 480 * MIB, size=size), names=made)
    assert decisions.check_prepared(after, 3).state is State.NO_FREE_CAPACITY


def test_without_goals_a_prepare_that_was_cut_off_is_finished() -> None:
    survey = kernel_only(kernel_region(0, available=4 * GIB), names=(namespace("0.0"),))
    assert decisions.plan_prepare(survey, 2, None).actions == (Action(Verb.CREATE, "region0", 4 * GIB),)


def test_without_goals_no_regions_are_a_fault_since_nothing_here_makes_them() -> None:
    with pytest.raises(Fault) as caught:
        decisions.plan_prepare(Survey(False), 1, None)
    assert caught.value.code == Code.SCM_INVALID_PMEM


def test_disabled_regions_are_enabled_and_looked_at_again() -> None:
    plan = decisions.plan_prepare(kernel_only(kernel_region(0, enabled=False), kernel_region(1)), 1, None)
    assert plan.actions == (Action(Verb.ENABLE_REGION, "region0"),)
    assert plan.again


RAW = namespace("0.0", mode="raw", uuid="")


def test_modules_without_valid_labels_are_labelled_first() -> None:
    survey = kernel_only(kernel_region(0, available=0), names=(RAW,))
    plan = decisions.plan_prepare(survey, 2, None, [Holding(RAW.name)])
    label = Action(Verb.LABEL_REGION, "region0", modules=("nmem0",))
    assert plan.actions == (label, *[Action(Verb.CREATE, "region0", 4 * GIB)] * 2)


def test_modules_without_a_label_area_take_one_namespace() -> None:
    survey = kernel_only(kernel_region(0, available=0, labels=False), names=(RAW,))
    assert decisions.plan_prepare(survey, 1, None).actions == (Action(Verb.CONVERT, RAW.name),)
    with pytest.raises(Fault, match="no label area"):
        decisions.plan_prepare(survey, 2, None)


MOUNTED = Holding(RAW.name, mounted_at=("/mnt/a", "/mnt/b"))
USED = Holding(RAW.name, users=("swap",))
FOREIGN = Holding(RAW.name, foreign="xfs filesystem")


@pytest.mark.parametrize(
    ("holding", "code"),
    [
        (MOUNTED, Code.STORAGE_DEVICE_ALREADY_MOUNTED),
        (USED, Code.STORAGE_DEVICE_ALREADY_MOUNTED),
        (FOREIGN, Code.STORAGE_ALREADY_FORMATTED),
    ],
)
def test_what_is_on_unlabelled_memory_keeps_it_from_being_labelled(holding: Holding, code: Code) -> None:
    survey = kernel_only(kernel_region(0, available=0), names=(RAW,))
    with pytest.raises(Fault) as caught:
        decisions.plan_prepare(survey, 1, None, [holding])
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("regions", "names", "says"),
    [
        ((region(0),), (), "state FreeCapacity"),
        ((region(0, free=0),), ("0.0", "0.1"), "has 2 namespaces, where 1"),
        ((region(0, free=0), region(1, free=0)), ("0.0",), "socket 1 has 0 namespaces"),
    ],
)
def test_a_prepare_that_did_not_come_to_what_was_asked_for_is_fault_213(
    regions: tuple[Region, ...], names: tuple[str, ...], says: str
) -> None:
    with pytest.raises(Fault, match=says) as caught:
        decisions.check_prepared(optane(*regions, names=names), 1)
    assert caught.value.code == Code.SCM_INVALID_PMEM


# Reset


@pytest.mark.parametrize("states", [states for states in STATES if states[0]])
def test_every_state_can_be_reset_with_goals_and_a_reboot(
    states: tuple[tuple[Region, ...], State, int | None],
) -> None:
    plan = decisions.plan_reset(optane(*states[0], names=("0.0",)), None, [])
    assert verbs(plan) == [Verb.DELETE_GOALS, Verb.DISABLE, Verb.DESTROY, Verb.CREATE_GOALS]
    assert plan.found.state is states[1]
    assert plan.reboot


def test_a_reset_without_regions_does_nothing_but_drop_goals() -> None:
    plan = decisions.plan_reset(optane(), 0, [])
    assert (verbs(plan), plan.reboot, plan.found.state) == ([Verb.DELETE_GOALS], False, State.NO_REGIONS)
    assert plan.found.socket_id == 0


def test_several_regions_of_a_socket_can_be_reset() -> None:
    plan = decisions.plan_reset(optane(region(0), region(0)), None, [])
    assert (plan.found.state, plan.reboot) == (State.UNKNOWN_MODE, True)


def test_a_reset_without_goals_removes_namespaces_and_needs_no_reboot() -> None:
    survey = kernel_only(kernel_region(0, available=0), names=(namespace("0.0"), namespace("0.1")))
    plan = decisions.plan_reset(survey, None, [])
    assert [(a.verb, a.target) for a in plan.actions] == [
        (Verb.DISABLE, "namespace0.0"),
        (Verb.DESTROY, "namespace0.0"),
        (Verb.DISABLE, "namespace0.1"),
        (Verb.DESTROY, "namespace0.1"),
    ]
    assert not plan.reboot


def test_a_disabled_namespace_is_enabled_to_be_looked_at() -> None:
    survey = kernel_only(kernel_region(0, available=0), names=(namespace("0.0", enabled=False), namespace("0.1")))
    plan = decisions.plan_reset(survey, None, [], force=True)
    assert plan.actions == (Action(Verb.ENABLE, "namespace0.0"),)
    assert plan.again


@pytest.mark.parametrize("holding", [MOUNTED, USED, FOREIGN])
def test_nothing_is_removed_where_one_namespace_is_in_use_or_foreign(holding: Holding) -> None:
    survey = optane(region(0, free=0), names=("0.1", "0.0"))
    with pytest.raises(Fault, match=r"namespace0\.0") as caught:
        decisions.plan_reset(survey, None, [holding])
    assert "Nothing was changed" in caught.value.resolution


def test_force_unmounts_and_removes_but_not_what_something_else_uses() -> None:
    survey = kernel_only(kernel_region(0, available=0), names=(namespace("0.0"),))
    plan = decisions.plan_reset(survey, None, [MOUNTED], force=True)
    assert [(a.verb, a.target) for a in plan.actions][:2] == [(Verb.UNMOUNT, "/mnt/b"), (Verb.UNMOUNT, "/mnt/a")]
    assert decisions.plan_reset(survey, None, [FOREIGN], force=True).actions
    with pytest.raises(Fault, match="used by swap") as caught:
        decisions.plan_reset(survey, None, [USED], force=True)
    assert "--force" not in caught.value.resolution


@given(
    st.lists(
        st.builds(
            Holding,
            st.sampled_from(["namespace0.0", "namespace0.1", "namespace1.0"]),
            st.sampled_from([(), ("/mnt/x",)]),
            st.sampled_from([(), ("dm-0",)]),
            st.sampled_from(["", "ext4"]),
        ),
        unique_by=lambda holding: holding.namespace,
    ),
    st.booleans(),
    st.booleans(),
)
def test_no_removal_without_intent(holdings: list[Holding], force: bool, goals: bool) -> None:
    names = tuple(namespace(name) for name in ("0.0", "0.1", "1.0"))
    spaces = (kernel_region(0, available=0), kernel_region(1, available=0))
    regions = (region(0, free=0), region(1, free=0))
    try:
        plan = decisions.plan_reset(Survey(goals, regions, spaces, names), None, holdings, force=force)
    except Fault:
        assert any(h.users or ((h.mounted_at or h.foreign) and not force) for h in holdings)
        return
    assert not any(h.users for h in holdings)
    assert force or not any(h.mounted_at or h.foreign for h in holdings)
    assert {a.target for a in plan.actions if a.verb is Verb.UNMOUNT} == {p for h in holdings for p in h.mounted_at}
