"""Whether, when and whom to ask again: the retry rules of requests to the management service.

Everything here is a function of its arguments; `ms` carries the decisions out. One try asks every host of the
current list and ends in one Outcome. A literal table says what follows from it. The number of tries is bounded by
the request's deadline: the waits between them only grow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from daos_control.client.errors import (
    is_connection_error,
    is_empty_group_map,
    is_retryable_connection_error,
    is_timeout,
    is_unavailable,
    is_uninitialized,
)
from daos_control.faults import Code, DaosError, Fault, NotLeaderError, NotReplicaError, Status, UnimplementedError

BACKOFF_BASE_SECONDS: Final = 0.25
BACKOFF_DOUBLING_LIMIT: Final = 7
JITTER_SECONDS: Final = 0.5
MAX_CANDIDATES: Final = 5

ErrorTest = Callable[[Exception], bool]


class NoResponseError(Exception):
    """Nobody answered the try, and nobody failed either."""

    def __init__(self) -> None:
        super().__init__("response did not contain a management service response")


class Outcome(Enum):
    """What one try came to."""

    SUCCESS = auto()
    GIVE_UP = auto()  # the request wants to fail at once on this error
    NOT_LEADER_KNOWS_LEADER = auto()
    NOT_LEADER = auto()
    NOT_REPLICA = auto()
    TRY_TIMED_OUT = auto()
    UNIMPLEMENTED = auto()
    REQUEST_RETRIES = auto()  # the request's own rule says that asking again may help
    UNAVAILABLE = auto()
    FAILED = auto()


class Action(Enum):
    """What to do next."""

    RETURN = auto()
    RAISE = auto()
    RAISE_UNAVAILABLE = auto()
    ASK_LEADER = auto()
    ASK_REPLICAS = auto()
    ASK_AGAIN = auto()
    START_OVER = auto()  # ask the hosts that the request began with


# client.md 4, line by line.
TABLE: Final = {
    Outcome.SUCCESS: Action.RETURN,
    Outcome.GIVE_UP: Action.RAISE_UNAVAILABLE,
    Outcome.NOT_LEADER_KNOWS_LEADER: Action.ASK_LEADER,
    Outcome.NOT_LEADER: Action.ASK_REPLICAS,
    Outcome.NOT_REPLICA: Action.ASK_REPLICAS,
    Outcome.TRY_TIMED_OUT: Action.ASK_AGAIN,
    Outcome.UNIMPLEMENTED: Action.RAISE,
    Outcome.REQUEST_RETRIES: Action.START_OVER,
    Outcome.UNAVAILABLE: Action.ASK_AGAIN,
    Outcome.FAILED: Action.RAISE,
}


def never(_error: Exception) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one kind of request.

    `retries` tells errors after which the request may be sent again; `gives_up` those on which it fails at once,
    though they could be retried.
    """

    retries: ErrorTest = never
    gives_up: ErrorTest = never


@dataclass(frozen=True, slots=True)
class Decision:
    """An action with the hosts to ask (empty where none are to be asked)."""

    action: Action
    hosts: tuple[str, ...] = ()


def classify(error: Exception | None, policy: Policy) -> Outcome:
    """What a try that ended with `error` (None: with an answer) came to."""
    if error is None:
        return Outcome.SUCCESS
    if policy.gives_up(error):
        return Outcome.GIVE_UP
    match error:
        case NotLeaderError():
            return Outcome.NOT_LEADER_KNOWS_LEADER if error.leader_hint else Outcome.NOT_LEADER
        case NotReplicaError():
            return Outcome.NOT_REPLICA
        case _ if is_timeout(error):
            return Outcome.TRY_TIMED_OUT
        case UnimplementedError():
            return Outcome.UNIMPLEMENTED
        case _ if policy.retries(error):
            return Outcome.REQUEST_RETRIES
        case _ if is_unavailable(error):
            return Outcome.UNAVAILABLE
        case _:
            return Outcome.FAILED


def decide(error: Exception | None, policy: Policy, *, current: Sequence[str], start: Sequence[str]) -> Decision:
    """What to do after a try of the hosts `current` that ended with `error`; the request began with `start`."""
    action = TABLE[classify(error, policy)]
    match action, error:
        case Action.ASK_LEADER, NotLeaderError():
            return Decision(action, (error.leader_hint,))
        case Action.ASK_REPLICAS, NotLeaderError() | NotReplicaError():
            return Decision(action, unique(error.replicas) or unique(current))
        case Action.ASK_AGAIN, _:
            return Decision(action, unique(current))
        case Action.START_OVER, _:
            return Decision(action, unique(start))
        case _:
            return Decision(action)


def backoff_seconds(tries: int, random_below: Callable[[int], int]) -> float:
    """Seconds to wait after `tries` tries that were already followed by another (0 after the first).

    `random_below(n)` is a random integer of 0..n-1: some clients wait longer, so that not all return at once.
    """
    if tries == 0:
        return 0.0
    doublings = max(min(tries, BACKOFF_DOUBLING_LIMIT) - 2, 0)
    return BACKOFF_BASE_SECONDS * (1 << doublings) + JITTER_SECONDS * random_below(BACKOFF_DOUBLING_LIMIT)


def candidates(hosts: Sequence[str], sample: Callable[[Sequence[str], int], Sequence[str]]) -> tuple[str, ...]:
    """The few of the configured hosts that are asked first; `sample(hosts, n)` draws n different ones."""
    distinct = unique(hosts)
    if len(distinct) <= MAX_CANDIDATES:
        return distinct
    return tuple(sample(distinct, MAX_CANDIDATES))


def unique(hosts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host for host in hosts if host))


# How much an error tells, where several hosts answered one try with different ones: the one that handled the
# request, then those that know where to go, then those that may answer later, then those that did not answer.
def telling(error: Exception) -> int:
    """The rank of an error among those of one try; the lowest counts."""
    match error:
        case NotLeaderError():
            return 1 if error.leader_hint else 2
        case NotReplicaError():
            return 3
        case _ if is_unavailable(error) or is_uninitialized(error) or is_empty_group_map(error):
            return 4
        case _ if is_timeout(error):
            return 6
        case _ if is_connection_error(error):
            return 5
        case _:
            return 0


# The rules of the requests (client.md 4, second table).

_POOL_STATUSES = frozenset(
    {Status.TIMEDOUT, Status.GRPVER, Status.AGAIN, Status.OOG, Status.UNREACH, Status.EXCLUDED}
)
_POOL_FAULTS = frozenset({Code.SERVER_DATA_PLANE_NOT_STARTED, Code.SYSTEM_POOL_LOCKED})


def _pool_retries(error: Exception) -> bool:
    if isinstance(error, DaosError):
        return error.status in _POOL_STATUSES
    return isinstance(error, Fault) and error.code in _POOL_FAULTS


def _not_serving(error: Exception) -> bool:
    return (
        is_unavailable(error)
        or is_retryable_connection_error(error)
        or isinstance(error, (NotLeaderError, NotReplicaError))
    )


DEFAULT: Final = Policy()
POOL: Final = Policy(retries=_pool_retries)
ATTACH_INFO: Final = Policy(retries=is_empty_group_map)
QUERY_OR_FAIL: Final = Policy(gives_up=_not_serving)
ERASE: Final = Policy(gives_up=is_unavailable)
