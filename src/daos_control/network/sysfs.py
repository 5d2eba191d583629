"""Reading sysfs: what is missing, or does not answer, reads as nothing."""

from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys")


def read(path: Path) -> str:
    """An attribute, without white space around it; "" where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def read_int(path: Path, default: int) -> int:
    """A whole number; `default` where there is none."""
    try:
        return int(read(path))
    except ValueError:
        return default


def children(directory: Path) -> list[Path]:
    """What is in a directory, by name; nothing where it is none."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
