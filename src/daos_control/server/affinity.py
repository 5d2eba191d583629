"""Which NUMA node or first core an engine is bound to."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Affinity:
    """At most one of the two is set; neither leaves the choice of cores to the engine."""

    first_core: int | None = None
    numa_node: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """What the configuration says of one engine, and the NUMA node of its fabric interface (None: unknown)."""

    first_core: int | None
    pinned_numa_node: int | None
    interface_numa_node: int | None


def affinities(engines: Sequence[Placement]) -> list[Affinity]:
    """One per engine, by the rule of DAOS.

    Where any engine names its first core, all place themselves by cores, and pinned nodes are ignored. Otherwise
    each goes to its pinned node, or to that of its fabric interface (0 where that is unknown); a single engine that
    would go to node 0 unasked is not bound at all.
    """
    by_cores = any(
        engine.first_core is not None and not (engine.first_core == 0 and engine.pinned_numa_node is not None)
        for engine in engines
    )
    if by_cores:
        return [Affinity(first_core=engine.first_core) for engine in engines]
    return [_by_node(index, engine, alone=len(engines) == 1) for index, engine in enumerate(engines)]


def _by_node(index: int, engine: Placement, *, alone: bool) -> Affinity:
    detected = engine.interface_numa_node or 0
    pinned = engine.pinned_numa_node
    if pinned is None:
        return Affinity() if alone and detected == 0 else Affinity(numa_node=detected)
    if engine.interface_numa_node is not None and pinned != detected:
        log.warning(
            "engine %d is pinned to NUMA node %d, its fabric interface is at node %d", index, pinned, detected
        )
    return Affinity(numa_node=pinned)
