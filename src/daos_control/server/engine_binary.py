"""Finding the programs that run as engines."""

import os
import sys
from pathlib import Path

from daos_control.server import problems

DAOS_ENGINE = "daos_engine"
EMBEDDED_ENGINE = "daos_engine_embedded"


def find(name: str, explicit: Path | None, search_path: str) -> Path:
    """The absolute path of the engine program.

    `explicit` (of the configuration) wins; else `name` is looked for in `search_path` (as $PATH), then beside the
    running program and its interpreter. Raises a Fault that lists the places where it was not.
    """
    if explicit is not None:
        if not explicit.is_file():
            raise problems.engine_binary_missing(explicit.name, [explicit.parent])
        if not os.access(explicit, os.X_OK):
            raise problems.engine_binary_not_executable(explicit)
        return explicit.absolute()
    places = [Path(entry) for entry in search_path.split(os.pathsep) if entry]
    places += [Path(sys.argv[0]).absolute().parent, Path(sys.executable).parent]
    for place in dict.fromkeys(places):
        candidate = place / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    raise problems.engine_binary_missing(name, dict.fromkeys(places))
