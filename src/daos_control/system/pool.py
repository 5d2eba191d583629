"""Pool services: what the management service records of each pool."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class PoolState(IntEnum):
    """State of a pool's record; the numbers are on the wire (mgmt.PoolServiceState)."""

    CREATING = 0
    READY = 1
    DESTROYING = 2

    @property
    def wire_name(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class PoolService:
    """A pool: `replicas` are the ranks of its service, `creation_ranks` those it was made on.

    `tier_bytes` are bytes per rank and tier at creation; `mem_ratio` is the share of metadata kept in memory
    (0 where the system has no MD-on-SSD). `service_term` is the term of the service's leader that last reported
    `replicas` (0: none did yet), by which late reports of earlier leaders are told.
    """

    uuid: str
    label: str
    state: PoolState
    last_update: datetime
    replicas: tuple[int, ...] = ()
    creation_ranks: tuple[int, ...] = ()
    tier_bytes: tuple[int, ...] = ()
    mem_ratio: float = 0.0
    service_term: int = 0
