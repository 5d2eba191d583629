"""The life of an engine as its server sees it: states, events, and one literal table."""

from enum import IntEnum

from daos_control.system.state import MemberState


class State(IntEnum):
    """Where an engine stands. The numbers are in logs and metrics: they never change."""

    STOPPED = 0
    CHECKING_STORAGE = 1
    AWAIT_FORMAT = 2
    LAUNCHING = 3  # its storage is ready, there is no process yet
    STARTING = 4  # the process runs and has not reported
    JOINING = 5  # it has reported, and the management service is asked to let it in
    SETTING_UP = 6  # it is told its rank, and sets itself up
    READY = 7
    STOPPING = 8  # the process is to end

    @property
    def has_process(self) -> bool:
        return self >= State.STARTING

    @property
    def member_state(self) -> MemberState:
        """In the terms of the system's members."""
        return _MEMBER_STATE[self]


class Event(IntEnum):
    """What can happen to an engine. The numbers are pinned as those of the states."""

    START_REQUESTED = 0
    FORMAT_NEEDED = 1
    STORAGE_READY = 2
    PROCESS_STARTED = 3
    REPORTED_READY = 4
    JOINED = 5
    SET_UP = 6
    FAILED = 7  # a step of the start went wrong
    STOP_REQUESTED = 8
    PROCESS_EXITED = 9


_MEMBER_STATE = {
    State.STOPPED: MemberState.STOPPED,
    State.CHECKING_STORAGE: MemberState.STOPPED,
    State.AWAIT_FORMAT: MemberState.AWAIT_FORMAT,
    State.LAUNCHING: MemberState.STOPPED,
    State.STARTING: MemberState.STARTING,
    State.JOINING: MemberState.STARTING,
    State.SETTING_UP: MemberState.STARTING,
    State.READY: MemberState.READY,
    State.STOPPING: MemberState.STOPPING,
}

# (state, event) -> next state. Without a process, a failure or a stop ends in STOPPED at once; with one, they lead
# to STOPPING, and only the end of the process leads out of it. A pair that is not here cannot happen.
TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.STOPPED, Event.START_REQUESTED): State.CHECKING_STORAGE,
    (State.CHECKING_STORAGE, Event.FORMAT_NEEDED): State.AWAIT_FORMAT,
    (State.CHECKING_STORAGE, Event.STORAGE_READY): State.LAUNCHING,
    (State.CHECKING_STORAGE, Event.FAILED): State.STOPPED,
    (State.CHECKING_STORAGE, Event.STOP_REQUESTED): State.STOPPED,
    (State.AWAIT_FORMAT, Event.STORAGE_READY): State.LAUNCHING,
    (State.AWAIT_FORMAT, Event.FAILED): State.STOPPED,
    (State.AWAIT_FORMAT, Event.STOP_REQUESTED): State.STOPPED,
    (State.LAUNCHING, Event.PROCESS_STARTED): State.STARTING,
    (State.LAUNCHING, Event.FAILED): State.STOPPED,
    (State.LAUNCHING, Event.STOP_REQUESTED): State.STOPPED,
    (State.STARTING, Event.REPORTED_READY): State.JOINING,
    (State.STARTING, Event.FAILED): State.STOPPING,
    (State.STARTING, Event.STOP_REQUESTED): State.STOPPING,
    (State.STARTING, Event.PROCESS_EXITED): State.STOPPED,
    (State.JOINING, Event.JOINED): State.SETTING_UP,
    (State.JOINING, Event.FAILED): State.STOPPING,
    (State.JOINING, Event.STOP_REQUESTED): State.STOPPING,
    (State.JOINING, Event.PROCESS_EXITED): State.STOPPED,
    (State.SETTING_UP, Event.SET_UP): State.READY,
    (State.SETTING_UP, Event.FAILED): State.STOPPING,
    (State.SETTING_UP, Event.STOP_REQUESTED): State.STOPPING,
    (State.SETTING_UP, Event.PROCESS_EXITED): State.STOPPED,
    (State.READY, Event.STOP_REQUESTED): State.STOPPING,
    (State.READY, Event.PROCESS_EXITED): State.STOPPED,
    (State.STOPPING, Event.PROCESS_EXITED): State.STOPPED,
}


class IllegalTransitionError(Exception):
    """An event that cannot happen in a state did: an error of this program."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"event {event.name} in state {state.name}")
        self.state = state
        self.event = event


def next_state(state: State, event: Event) -> State:
    """Raises IllegalTransitionError where the table has no such pair."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(state, event) from None
