"""The group map: the engines that every engine is to know, and where to reach them."""

from collections.abc import Collection
from dataclasses import dataclass

from daos_control.faults import SystemUnavailableError
from daos_control.faults.core import EMPTY_GROUP_MAP
from daos_control.system.database import SystemDatabase


@dataclass(frozen=True, slots=True)
class MapEngine:
    """One engine of the map; `contexts` is the number of its network endpoints."""

    rank: int
    uri: str
    incarnation: int
    contexts: int = 0
    secondary_uris: tuple[str, ...] = ()
    secondary_contexts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupMap:
    """Engines in the order of ranks; `ms_ranks` are those on the hosts of management service replicas."""

    version: int
    engines: tuple[MapEngine, ...]
    ms_ranks: tuple[int, ...]

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(engine.rank for engine in self.engines)

    def check(self) -> None:
        """Raises SystemUnavailableError for an empty map, which must not be sent to engines."""
        if not self.engines:
            raise SystemUnavailableError(EMPTY_GROUP_MAP)


def group_map(db: SystemDatabase, replicas: Collection[str] = ()) -> GroupMap:
    """The map of the members as they are; `replicas` are the control addresses of the MS replicas."""
    members = [m for m in db.members_by_rank() if m.in_group_map]
    return GroupMap(
        version=db.map_version,
        engines=tuple(
            MapEngine(
                rank=m.rank,
                uri=m.fabric_uri,
                incarnation=m.incarnation,
                contexts=m.fabric_contexts,
                secondary_uris=m.secondary_fabric_uris,
                secondary_contexts=m.secondary_fabric_contexts,
            )
            for m in members
        ),
        ms_ranks=tuple(m.rank for m in members if m.address in replicas),
    )
