"""The group map: which engines belong to the system, and when a new map is taken. Pure."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from daos_control.engine.fabric_address import FabricAddress


@dataclass(frozen=True, slots=True)
class GroupEngine:
    """One engine of the map."""

    rank: int
    uri: str
    incarnation: int

    @property
    def address(self) -> FabricAddress:
        """Raises ValueError for a URI that is none."""
        return FabricAddress.parse(self.uri)


@dataclass(frozen=True, slots=True)
class GroupMap:
    """The engines of the system at one version, by rank."""

    version: int
    engines: dict[int, GroupEngine]

    def to_json(self) -> dict[str, Any]:
        engines = [[engine.rank, engine.uri, engine.incarnation] for engine in self.engines.values()]
        return {"version": self.version, "engines": engines}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "GroupMap":
        engines = {int(rank): GroupEngine(int(rank), str(uri), int(inc)) for rank, uri, inc in value["engines"]}
        return cls(int(value["version"]), engines)


EMPTY = GroupMap(0, {})


class Verdict(Enum):
    """What a group map means to an engine that receives it."""

    ADOPTED = auto()
    STALE = auto()
    EXCLUDED = auto()


class GroupView:
    """What one engine knows of the group.

    Its rank is set once; a map counts only if it is newer than the one before and than the version that came with
    the rank, which is how an engine that has just joined again is safe from maps of before its join.
    """

    def __init__(self) -> None:
        self.rank: int | None = None
        self.minimum_version = 0
        self.map = EMPTY

    def set_rank(self, rank: int, minimum_version: int) -> bool:
        """False where the rank has been set before: nothing is changed then."""
        if self.rank is not None:
            return False
        self.rank = rank
        self.minimum_version = minimum_version
        return True

    def offer(self, group_map: GroupMap) -> Verdict:
        """Take the map if it counts. EXCLUDED: it counts, and this engine's rank is not in it."""
        if self.rank is None or group_map.version <= self.map.version or group_map.version < self.minimum_version:
            return Verdict.STALE
        if self.rank not in group_map.engines:
            return Verdict.EXCLUDED
        self.map = group_map
        return Verdict.ADOPTED
