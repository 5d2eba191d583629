"""Log masks of engines: how the list of subsystems (DD_SUBSYS) is folded into the mask (D_LOG_MASK)."""

from collections.abc import Iterable
from enum import IntEnum


class Level(IntEnum):
    """Levels of an engine's log in their order; the names are what the engine reads."""

    UNKNOWN = 0
    DBUG = 1
    INFO = 2
    NOTE = 3
    WARN = 4
    ERR = 5
    CRIT = 6
    ALRT = 7
    EMRG = 8
    EMIT = 9


_OTHER_SPELLINGS = {"DEBUG": Level.DBUG, "ERROR": Level.ERR, "FATAL": Level.EMRG}


def level_of(text: str) -> Level:
    """The level of that name in any case; UNKNOWN where there is none."""
    name = text.upper()
    return _OTHER_SPELLINGS.get(name) or Level.__members__.get(name, Level.UNKNOWN)


def merge(masks: str, subsystems: str) -> str:
    """One mask with the effect of both: below ERR, only the listed subsystems may speak.

    `masks` is "LEVEL,SUBSYSTEM=LEVEL,...", `subsystems` "A,B"; empty or "ALL" restricts nothing. Empty masks stay
    empty. Raises ValueError for an assignment that is none.
    """
    if not masks:
        return ""
    base = level_of(masks.split(",", 1)[0]) or Level.ERR
    assigned = _assignments(masks)
    if not subsystems or subsystems.upper() == "ALL":
        return _spell(base, assigned)

    listed = [name for name in subsystems.split(",") if name and name.upper() != "ALL"]
    if listed:
        assigned = [(name, level) for name, level in assigned if level >= Level.ERR or name in listed]
        if base < Level.ERR:
            known = {name for name, _ in assigned}
            assigned += [(name, base) for name in listed if name not in known]
    base = max(base, Level.ERR)
    return _spell(base, [(name, level) for name, level in assigned if level is not base])


def _assignments(masks: str) -> list[tuple[str, Level]]:
    found = []
    for token in masks.split(","):
        name, equals, level = token.partition("=")
        if not equals:
            continue
        if "=" in level:
            raise ValueError(f"{token!r} is no assignment of the form SUBSYSTEM=LEVEL")
        found.append((name, level_of(level)))
    return found


def _spell(base: Level, assigned: Iterable[tuple[str, Level]]) -> str:
    return ",".join([base.name, *(f"{name}={level.name if level else ''}" for name, level in assigned)])
