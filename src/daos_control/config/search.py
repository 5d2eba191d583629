"""Where configuration files are looked for when no path is given."""

import os
import sys
from pathlib import Path

SERVER_FILE = "daos_server.yml"
CONTROL_FILE = "daos_control.yml"
SYSTEM_DIR = Path("/etc/daos")


def install_dir() -> Path:
    """The configuration directory of this installation: `etc` of its prefix, /etc/daos for the system's own."""
    prefix = Path(sys.prefix)
    return SYSTEM_DIR if prefix in (Path("/usr"), Path("/usr/local"), Path("/")) else prefix / "etc"


def directories() -> tuple[Path, ...]:
    """The directories to look in, in order."""
    return tuple(dict.fromkeys((install_dir(), SYSTEM_DIR)))


def candidates(name: str) -> tuple[Path, ...]:
    return tuple(directory / name for directory in directories())


def find(name: str) -> Path | None:
    """The first file of that name in `directories`."""
    return next((path for path in candidates(name) if _is_there(path)), None)


def find_control() -> Path | None:
    """The user's own daos_control.yml, or else that of the installation or the system."""
    home = os.environ.get("HOME", "")
    own = Path(home) / f".{CONTROL_FILE}" if home else None
    return own if own is not None and _is_there(own) else find(CONTROL_FILE)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
