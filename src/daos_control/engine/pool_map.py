"""The map of a pool: its engines and the states of their targets. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from daos_control.faults.core import DaosError
from daos_control.faults.status import Status


class TargetState(IntEnum):
    """State of one target; the numbers are on the wire (mgmt.PoolQueryTargetInfo.TargetState)."""

    DOWN_OUT = 1
    DOWN = 2
    UP = 3
    UP_IN = 4
    NEW = 5
    DRAIN = 6


@dataclass(frozen=True, slots=True)
class PoolMap:
    """Target states by rank, in target order. `version` starts at 1 and grows with each change of a state.

    An engine that holds no data moves none: excluded and drained targets are DOWN_OUT at once, reintegrated ones
    UP_IN at once; the states between are never seen.
    """

    version: int
    engines: tuple[tuple[int, tuple[TargetState, ...]], ...]

    @classmethod
    def new(cls, targets: Mapping[int, int]) -> "PoolMap":
        """A map of healthy targets; `targets` is their number by rank."""
        return cls(1, tuple((rank, (TargetState.UP_IN,) * targets[rank]) for rank in sorted(targets)))

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(rank for rank, _ in self.engines)

    @property
    def target_count(self) -> int:
        return sum(len(states) for _, states in self.engines)

    @property
    def disabled_count(self) -> int:
        return sum(state is not TargetState.UP_IN for _, states in self.engines for state in states)

    @property
    def enabled_ranks(self) -> tuple[int, ...]:
        """Ranks with a target that serves."""
        return tuple(rank for rank, states in self.engines if TargetState.UP_IN in states)

    @property
    def disabled_ranks(self) -> tuple[int, ...]:
        """Ranks with a target that does not serve; a rank can be in both lists."""
        return tuple(
            rank for rank, states in self.engines if any(state is not TargetState.UP_IN for state in states)
        )

    def states(self, rank: int) -> tuple[TargetState, ...]:
        """Raises DaosError NONEXIST where the pool is not on that rank."""
        for known, states in self.engines:
            if known == rank:
                return states
        raise DaosError(Status.NONEXIST, f"rank {rank} is not in the pool")

    def with_states(self, rank: int, targets: Iterable[int], state: TargetState) -> "PoolMap":
        """Targets of a rank put into `state`, all where `targets` is empty; the same map if nothing changes.

        Raises DaosError NONEXIST for a rank or target that is not in the pool.
        """
        states = list(self.states(rank))
        for index in tuple(targets) or range(len(states)):
            if not 0 <= index < len(states):
                raise DaosError(Status.NONEXIST, f"rank {rank} has no target {index}")
            states[index] = state
        engines = tuple((known, tuple(states) if known == rank else old) for known, old in self.engines)
        return self if engines == self.engines else PoolMap(self.version + 1, engines)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "engines": [[rank, [int(s) for s in states]] for rank, states in self.engines],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "PoolMap":
        engines = tuple((int(rank), tuple(TargetState(s) for s in states)) for rank, states in value["engines"])
        return cls(int(value["version"]), engines)
