"""What to do with persistent memory: pure functions from what was found to actions, or a Fault.

| state | prepare | reset |
|---|---|---|
| NO_REGIONS | goals, then a reboot | nothing |
| FREE_CAPACITY | 1..4 namespaces in each region | goals, then a reboot |
| PARTIAL_FREE | what is missing, where an interrupted prepare explains it; else Fault 212 | as NO_FREE_CAPACITY |
| NO_FREE_CAPACITY | nothing | namespaces removed, goals, then a reboot |
| NOT_INTERLEAVED, NOT_HEALTHY, UNKNOWN_MODE | Fault 212 | as NO_FREE_CAPACITY |

On modules without goals (every kind but Optane), a reset ends with the namespaces removed: no reboot.

The invariant (no format without intent): `plan_reset` and `plan_prepare` return actions only when nothing stands
against any of them, so that either all is begun or nothing is touched. Preparing never removes a namespace that
somebody made. A mounted namespace, or one that holds what is not DAOS's, is removed only with force; one that
something else than a mount uses is never removed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from daos_control.faults import Fault
from daos_control.faults import pmem as faults
from daos_control.storage.pmem.model import (
    Health,
    Holding,
    KernelRegion,
    Namespace,
    Region,
    RegionKind,
    SocketState,
    State,
    Survey,
)

NAMESPACES_MIN, NAMESPACES_MAX = 1, 4

_PREPARE_FAULTS: Mapping[State, Callable[[int], Fault]] = {
    State.NOT_INTERLEAVED: faults.not_interleaved,
    State.NOT_HEALTHY: faults.not_healthy,
    State.UNKNOWN_MODE: faults.unknown_mode,
}


class Verb(Enum):
    """The things that can be done; the values name the steps of an operation."""

    DELETE_GOALS = "delete_goals"
    CREATE_GOALS = "create_goals"
    ENABLE_REGION = "enable_region"
    LABEL_REGION = "label_region"
    CREATE = "create"
    CONVERT = "convert"
    UNMOUNT = "unmount"
    ENABLE = "enable"
    DISABLE = "disable"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class Action:
    """One step. `target` is a region, a namespace or a mount point; `size` is of CREATE; `modules` of
    LABEL_REGION; `socket` of the goals, None for all."""

    verb: Verb
    target: str = ""
    size: int = 0
    modules: tuple[str, ...] = ()
    socket: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in order, the state found, and whether a reboot is needed afterwards. With `again`, the actions
    only make things visible: survey and plan anew after them."""

    found: SocketState
    actions: tuple[Action, ...] = ()
    reboot: bool = False
    again: bool = False


def state_of(survey: Survey) -> SocketState:
    """The state of all regions: the first that is unusable decides, then any that has room. Raises Fault 212 where
    a socket has several regions made by goals."""
    regions = sorted(survey.regions, key=lambda region: region.socket_id)
    if not regions:
        return SocketState(None, State.NO_REGIONS)
    if survey.goals:
        for socket, count in sorted(Counter(region.socket_id for region in regions).items()):
            if count > 1:
                raise faults.several_regions(socket)
    single = regions[0].socket_id if len(regions) == 1 else None
    states = [(region.socket_id, _state_of_region(region)) for region in regions]
    for socket, state in states:
        if state not in (State.FREE_CAPACITY, State.NO_FREE_CAPACITY):
            return SocketState(socket, state)
    has_room = any(state is State.FREE_CAPACITY for _, state in states)
    return SocketState(single, State.FREE_CAPACITY if has_room else State.NO_FREE_CAPACITY)


def _state_of_region(region: Region) -> State:
    if region.kind is RegionKind.NOT_INTERLEAVED:
        return State.NOT_INTERLEAVED
    if region.kind is not RegionKind.APP_DIRECT:
        return State.UNKNOWN_MODE
    if region.health is Health.ERROR:
        return State.NOT_HEALTHY
    if region.free == region.capacity:
        return State.FREE_CAPACITY
    return State.NO_FREE_CAPACITY if region.free == 0 else State.PARTIAL_FREE


def platform_view(regions: Sequence[KernelRegion], namespaces: Sequence[Namespace]) -> tuple[Region, ...]:
    """The regions of modules that no platform tool knows, from what the kernel tells.

    What is left over because it is smaller than the unit of a namespace, for each namespace, counts as used; a
    namespace that is there only for want of labels counts as free.
    """
    found = []
    for region in regions:
        own = [n for n in namespaces if n.region == region.name]
        made = [n for n in own if not n.unlabelled]
        remnant = region.available < len(made) * region.unit
        free = (0 if remnant else region.available) if made else region.size
        found.append(
            Region(region.numa_node, RegionKind.APP_DIRECT, region.size, free, Health.HEALTHY, region.iset_id)
        )
    return tuple(found)


def plan_prepare(
    survey: Survey, count: int, socket: int | None, holdings: Sequence[Holding] = (), *, force: bool = False
) -> Plan:
    """How to come to `count` namespaces in each region. Raises Fault 101, 103, 212 or 213.

    `holdings` are those of unlabelled namespaces: what is on them keeps them from being labelled without force.
    """
    disabled = [region for region in survey.kernel_regions if not region.enabled]
    found = state_of(survey)
    if disabled and not survey.goals:  # left by a labelling that was cut off, or by hand: look again afterwards
        return Plan(found, tuple(Action(Verb.ENABLE_REGION, region.name) for region in disabled), again=True)
    if found.state in _PREPARE_FAULTS:
        raise _PREPARE_FAULTS[found.state](found.socket_id or 0)
    goals = (Action(Verb.DELETE_GOALS, socket=socket),) if survey.goals else ()
    if found.state is State.NO_REGIONS:
        if not survey.goals:
            raise faults.region_unknown(socket or 0)
        return Plan(found, (*goals, Action(Verb.CREATE_GOALS, socket=socket)), reboot=True)
    creations: list[Action] = []
    for region in survey.regions:
        creations += _creations(survey, region, count)
    _check_holdings(holdings, creations, force=force)
    unmounts = [Action(Verb.UNMOUNT, path) for h in holdings for path in reversed(h.mounted_at)]
    return Plan(found, (*goals, *unmounts, *creations))


def _creations(survey: Survey, region: Region, count: int) -> list[Action]:
    state = _state_of_region(region)
    if state is State.NO_FREE_CAPACITY:
        return []
    kernel = _kernel_region(survey, region)
    own = [n for n in survey.namespaces if n.region == kernel.name]
    made = [n for n in own if not n.unlabelled]
    size = kernel.size // count // kernel.unit * kernel.unit
    if size == 0 or (survey.goals and size * count != kernel.size):
        raise faults.not_divisible(kernel.name, kernel.size, count, kernel.unit)
    if state is State.PARTIAL_FREE:
        # Exactly what a prepare leaves that was cut off between two namespaces: the rest is still to be made.
        if len(made) >= count or kernel.available != kernel.size - len(made) * size:
            raise faults.partly_free(region.socket_id)
        return [Action(Verb.CREATE, kernel.name, size)] * (count - len(made))
    if made:  # the platform's figures are older than the kernel's
        raise faults.wrong_namespaces(region.socket_id, len(made), count)
    if not own:
        return [Action(Verb.CREATE, kernel.name, size)] * count
    if kernel.labels:
        label = Action(Verb.LABEL_REGION, kernel.name, modules=kernel.modules)
        return [label, *[Action(Verb.CREATE, kernel.name, size)] * count]
    if count > 1:
        raise faults.no_labels(kernel.name)
    return [Action(Verb.CONVERT, own[0].name)]


def _kernel_region(survey: Survey, region: Region) -> KernelRegion:
    """The kernel's view of a region: by its interleave set, else by the socket's number, as DAOS does."""
    regions = survey.kernel_regions
    by_set = [k for k in regions if region.iset_id and k.iset_id == region.iset_id]
    if not by_set and not survey.goals:
        by_set = [k for k in regions if (k.numa_node, k.size) == (region.socket_id, region.capacity)]
    if len(by_set) == 1:
        return by_set[0]
    named = [k for k in regions if k.name == f"region{region.socket_id}"]
    if not named:
        raise faults.region_unknown(region.socket_id)
    return named[0]


def check_prepared(survey: Survey, count: int) -> SocketState:
    """The state after the namespaces were made; Fault 213 where it is not what was asked for."""
    found = state_of(survey)
    if found.state is not State.NO_FREE_CAPACITY:
        raise faults.not_prepared(found.state.label)
    made = Counter(n.region for n in survey.namespaces if n.enabled and not n.unlabelled)
    for region in survey.regions:
        have = made[_kernel_region(survey, region).name]
        if have != count:
            raise faults.wrong_namespaces(region.socket_id, have, count)
    return found


def plan_reset(survey: Survey, socket: int | None, holdings: Sequence[Holding], *, force: bool = False) -> Plan:
    """How to remove the namespaces and have the regions made anew. Raises Fault 101 or 103.

    Where a namespace is disabled, what is on it is not known: the plan is then to enable it and look again.
    """
    try:
        found = state_of(survey)
    except Fault:  # several regions of a socket: removed all the same
        found = SocketState(None, State.UNKNOWN_MODE)
    if found.socket_id is None:
        found = SocketState(socket, found.state)
    goals = (Action(Verb.DELETE_GOALS, socket=socket),) if survey.goals else ()
    if found.state is State.NO_REGIONS:
        return Plan(found, goals)
    made = [n for n in survey.namespaces if not n.unlabelled]
    disabled = [n for n in made if not n.enabled]
    if disabled:
        return Plan(found, tuple(Action(Verb.ENABLE, n.name) for n in disabled), again=True)
    by_name = {holding.namespace: holding for holding in holdings}
    chosen = [by_name.get(n.name, Holding(n.name)) for n in made]
    _check_holdings(chosen, chosen, force=force)
    actions = [*goals]
    for holding in chosen:
        actions += [Action(Verb.UNMOUNT, path) for path in reversed(holding.mounted_at)]
        # Disabling is refused by the kernel's own rules where somebody came to use it meanwhile.
        actions += [Action(Verb.DISABLE, holding.namespace), Action(Verb.DESTROY, holding.namespace)]
    if survey.goals:
        actions.append(Action(Verb.CREATE_GOALS, socket=socket))
    return Plan(found, tuple(actions), reboot=survey.goals)


def _check_holdings(holdings: Sequence[Holding], actions: Sequence[object], *, force: bool) -> None:
    if not actions:
        return
    for holding in holdings:
        used = [f"used by {user}" for user in holding.users]
        if not force:
            used += [f"mounted at {path}" for path in holding.mounted_at]
        if used:
            raise faults.namespace_in_use(holding.namespace, ", ".join(used), forced=force)
        if holding.foreign and not force:
            raise faults.namespace_foreign(holding.namespace, holding.foreign)
