"""Whether a network interface is ready, and what follows for a server that needs it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Final

from daos_control.faults import ControlError

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0


class State(Enum):
    """Whether an interface can be used (lifecycle.md 2: the server waits for NOT_READY, and gives up on others)."""

    READY = "ready"
    NOT_READY = "not ready"
    DOWN = "down"
    UNKNOWN = "unknown"


# The states of an InfiniBand port, by their numbers: down, init, armed, active.
_PORT_STATES: Final = {1: State.DOWN, 2: State.NOT_READY, 3: State.NOT_READY, 4: State.READY}


def port_state(text: str) -> State:
    """The state that a port's attribute tells, as "4: ACTIVE"."""
    number = text.partition(":")[0].strip()
    return _PORT_STATES.get(int(number), State.UNKNOWN) if number.isdecimal() else State.UNKNOWN


def condense(states: Iterable[State]) -> State:
    """One state for several ports: not ready if any is, ready if any is, down if all that tell are."""
    present = set(states)
    return next((s for s in (State.NOT_READY, State.READY, State.DOWN) if s in present), State.UNKNOWN)


def still_waiting(states: Mapping[str, State | None]) -> tuple[str, ...]:
    """The interfaces that are not ready yet, by name; None stands for one that is missing.

    Raises ControlError for those that waiting does not help: they are missing, down, or in an unknown state.
    """
    missing = sorted(name for name, state in states.items() if state is None)
    if missing:
        raise ControlError(f"this host has no network interface {', '.join(missing)}")
    for name in sorted(states):
        state = states[name]
        if state in (State.DOWN, State.UNKNOWN):
            assert state is not None
            why = "it is down" if state is State.DOWN else "its state is not known"
            raise ControlError(f'requested fabric interface "{name}" is unusable: {why}')
    return tuple(sorted(name for name, state in states.items() if state is State.NOT_READY))


async def wait_ready(
    names: Iterable[str],
    state_of: Callable[[str], State | None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Wait until all interfaces are ready, looking again each second at those that are not; as long as it takes.

    Each is looked at until it has been ready once. Raises ControlError as `still_waiting`. The caller may cancel.
    """
    waiting = tuple(dict.fromkeys(names))
    while waiting := still_waiting({name: state_of(name) for name in waiting}):
        log.warning("waiting for fabric interfaces that are not ready: %s", ", ".join(waiting))
        await sleep(RETRY_SECONDS)
