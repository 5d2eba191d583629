"""How many targets and helper threads an engine gets."""

from typing import NamedTuple

from daos_control.faults import ControlError

TARGETS_DEFAULT = 16
CORES_RESERVED = 2
# Of the cores that are left, four in five are for targets and one for their helpers.
_TARGETS_OF_CORES = (4, 5)
_TARGETS_PER_HELPER = 4


class Threads(NamedTuple):
    """Per engine."""

    targets: int
    helpers: int


def threads(cores: int, ssds: int) -> Threads:
    """For an engine with `cores` physical cores and `ssds` SSDs; targets are a multiple of SSDs where possible.

    ControlError where there are too few cores: two are kept for the system.
    """
    free = cores - CORES_RESERVED
    if free < 1:
        raise ControlError(
            f"a NUMA node has {cores} cores: {CORES_RESERVED} are left to the system, and an engine needs one more"
        )
    if ssds == 0:
        return Threads(min(TARGETS_DEFAULT, free), 0)
    part, whole = _TARGETS_OF_CORES
    per_ssd = free * part // (whole * ssds)
    if per_ssd == 0:
        return Threads(min(ssds, free), 0)
    targets = ssds * per_ssd
    return Threads(targets, targets // _TARGETS_PER_HELPER)
