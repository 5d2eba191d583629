"""Which ranks of a pool keep its service, spread over fault domains. Pure."""

from collections.abc import Sequence

from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

SERVICE_RF_MAX = 4
_HAS_PERFORMANCE_DOMAIN = 0x2


def service_replicas(service_rf: int, ranks: int) -> int:
    """How many ranks keep the service: 2 rf + 1, odd, and not more than there are. Raises DaosError INVAL."""
    if not 0 <= service_rf <= SERVICE_RF_MAX:
        raise DaosError(Status.INVAL, f"service redundancy factor {service_rf} is above {SERVICE_RF_MAX}")
    wanted = min(2 * service_rf + 1, ranks)
    return wanted if wanted % 2 else wanted - 1


def service_rf_of(replicas: int) -> int:
    """The redundancy factor that a wanted number of replicas stands for; an even number counts as one less."""
    return (replicas - 1 if replicas % 2 == 0 else replicas) // 2


def domains_of_ranks(tree: Sequence[int]) -> dict[int, int]:
    """The highest fault domain (an id) of each rank in a compressed fault domain tree.

    The tree is breadth first: a metadata word, then the domains as (level, id, number of children), then the ranks
    as single numbers. Raises DaosError INVAL where it is malformed; an empty tree gives no domains.
    """
    if not tree:
        return {}
    words = iter(tree[1:])
    try:
        level, _, children = next(words), next(words), next(words)
        # Each pending child, in order, with the domain below the root that it belongs to.
        pending: list[int | None] = [None] * children
        for _ in range(level - 1):
            following: list[int | None] = []
            for owner in pending:
                _, identity, children = next(words), next(words), next(words)
                following += [identity if owner is None else owner] * children
            pending = following
        found = {next(words): owner if owner is not None else index for index, owner in enumerate(pending)}
    except (StopIteration, RuntimeError) as error:
        raise DaosError(Status.INVAL, "fault domain tree ends too soon") from error
    if next(words, None) is not None:
        raise DaosError(Status.INVAL, "fault domain tree is too long")
    return found


def choose_service_ranks(ranks: Sequence[int], domains: dict[int, int], count: int, seed: int) -> tuple[int, ...]:
    """`count` of the ranks, in as many domains as possible; `seed` decides where to begin, so that pools differ.

    Domains that are not known count as one of their own for each rank.
    """
    groups: dict[tuple[bool, int], list[int]] = {}
    for rank in sorted(ranks):
        key = (True, domains[rank]) if rank in domains else (False, rank)
        groups.setdefault(key, []).append(rank)
    ring = [groups[key] for key in sorted(groups)]
    start = seed % len(ring)
    ring = ring[start:] + ring[:start]
    for group in ring:
        turn = seed % len(group)
        group[:] = group[turn:] + group[:turn]
    chosen: list[int] = []
    while len(chosen) < count:
        for group in ring:
            if group and len(chosen) < count:
                chosen.append(group.pop(0))
    return tuple(sorted(chosen))
