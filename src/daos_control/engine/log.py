"""The engine's log: facilities with levels of their own, set by D_LOG_MASK and by SetLogMasks."""

import logging
import re
import sys
from pathlib import Path

_ROOT = "daos_engine"
FACILITIES = ("engine", "mgmt", "pool", "fabric", "swim", "storage", "drpc")

# Names of DAOS's own facilities that people write in masks, and what they cover here.
_ALIASES = {
    "server": "engine",
    "rpc": "fabric",
    "hg": "fabric",
    "crt": "fabric",
    "bio": "storage",
    "vos": "storage",
}

_LEVELS = {
    "DBUG": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "NOTE": logging.INFO,
    "WARN": logging.WARNING,
    "ERR": logging.ERROR,
    "ERROR": logging.ERROR,
    "CRIT": logging.CRITICAL,
    "ALRT": logging.CRITICAL,
    "EMRG": logging.CRITICAL,
    "EMIT": logging.CRITICAL,
}
_WIRE_NAMES = {
    logging.DEBUG: "DBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERR",
    logging.CRITICAL: "CRIT",
}


def facility(name: str) -> logging.Logger:
    """The logger of one of FACILITIES."""
    return logging.getLogger(f"{_ROOT}.{name}")


def parse_masks(text: str) -> tuple[int | None, dict[str, int]]:
    """`LEVEL,FACILITY=LEVEL,...` as (base level or None, levels of facilities); what is not known is left out."""
    base: int | None = None
    special: dict[str, int] = {}
    for item in re.split(r"[,;\s]+", text.strip()):
        name, equals, level_name = item.rpartition("=")
        level = _LEVELS.get(level_name.upper())
        if level is None:
            continue
        if not equals:
            base = level
            continue
        target = _ALIASES.get(name.lower(), name.lower())
        if target in FACILITIES:
            special[target] = level
    return base, special


def apply_masks(text: str) -> str:
    """Set the levels that `text` names; facilities it does not name follow the base. Returns the masks in force."""
    base, special = parse_masks(text)
    root = logging.getLogger(_ROOT)
    if base is not None:
        root.setLevel(base)
        for name in FACILITIES:
            facility(name).setLevel(logging.NOTSET)
    for name, level in special.items():
        facility(name).setLevel(level)
    return masks()


def masks() -> str:
    """The masks in force, in the form that `apply_masks` takes."""
    root = logging.getLogger(_ROOT)
    items = [_WIRE_NAMES[root.getEffectiveLevel()]]
    items += [
        f"{name.upper()}={_WIRE_NAMES[facility(name).level]}"
        for name in FACILITIES
        if facility(name).level in _WIRE_NAMES
    ]
    return ",".join(items)


def open_log(path: Path | None, mask: str) -> None:
    """Log to `path` (appended) or, without one, to stdout. Raises OSError where the file cannot be opened."""
    handler = logging.FileHandler(path) if path is not None else logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s.%(msecs)03d [%(process)d] %(levelname)-7s %(name)s: %(message)s", "%m/%d-%H:%M:%S"
        )
    )
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.INFO)
    drpc = logging.getLogger("daos_control.drpc")
    drpc.handlers[:] = [handler]
    drpc.propagate = False
    apply_masks(mask)
