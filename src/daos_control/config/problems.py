"""What is wrong in a configuration file: each mistake with its place, and the one error that lists them all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from daos_control.faults import Code, Fault

KeyPath: TypeAlias = tuple[str | int, ...]


def format_key(path: KeyPath) -> str:
    """`("engines", 1, "storage", 0, "class")` as `engines[1].storage[0].class`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def nearest_key(name: str, known: Iterable[str]) -> str:
    """The known key that `name` was probably meant to be; empty where none resembles it."""
    import difflib  # only a mistake needs it

    by_fold = {key.casefold().replace("-", "_"): key for key in known}
    matches = difflib.get_close_matches(name.casefold().replace("-", "_"), by_fold, n=1, cutoff=0.6)
    return by_fold[matches[0]] if matches else ""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1, and 0 is an unknown place."""

    line: int = 0
    column: int = 0


NOWHERE: Final = Position()


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake found by looking at values, before its place in the file is known.

    `path` is the key that it is reported at. `involves` are further keys that it was concluded from: where one
    of them could not be read, the conclusion does not hold and is dropped.
    """

    path: KeyPath
    message: str
    allowed: str = ""
    code: int = int(Code.SERVER_BAD_CONFIG)
    involves: tuple[KeyPath, ...] = ()

    @classmethod
    def of(cls, fault: Fault, path: KeyPath, *involves: KeyPath) -> "Finding":
        """The finding that says what `fault` says."""
        return cls(path, fault.description, fault.resolution, fault.code, involves)

    def moved(self, move: Callable[[KeyPath], KeyPath]) -> "Finding":
        """The same finding, with every key replaced by what `move` makes of it."""
        return replace(self, path=move(self.path), involves=tuple(move(path) for path in self.involves))

    def depends_on(self, broken: Iterable[KeyPath]) -> bool:
        """Whether it was concluded from a value at, above or below one of the `broken` keys."""
        paths = (self.path, *self.involves)
        return any(a[: len(b)] == b or b[: len(a)] == a for a in paths for b in broken if a and b)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration file.

    `key` is the dotted path, empty for the file as a whole. `allowed` says what would be right, `nearest` is the
    key that an unknown name resembles, `code` is DAOS's fault number for the mistake (701 where it has none).
    """

    file: str
    key: str
    message: str
    allowed: str = ""
    nearest: str = ""
    line: int = 0
    column: int = 0
    code: int = int(Code.SERVER_BAD_CONFIG)

    def __str__(self) -> str:
        text = ""
        if self.line:
            text = f"line {self.line}"
            text += f", column {self.column}: " if self.column else ": "
        if self.key:
            text += f"{self.key}: "
        text += self.message
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        elif self.allowed:
            text += f" ({self.allowed})"
        if self.code != Code.SERVER_BAD_CONFIG:
            text += f" [code {self.code}]"
        return text


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth telling about a file that is valid."""

    key: str
    text: str
    line: int = 0

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.key}: {self.text}" if self.key else f"{place}{self.text}"


class ConfigError(Fault):
    """Fault 701 that lists every mistake of one configuration file, in the order of the file.

    `file` is empty where the configuration was made without one.
    """

    def __init__(self, file: str, problems: Iterable[Problem], *, domain: str = "serverconfig") -> None:
        self.problems: Final = tuple(sorted(problems, key=lambda p: (p.line or 0, p.column or 0)))
        count = len(self.problems)
        named = file or "the configuration without a file"
        if count == 1:
            description = f"{named}: {self.problems[0]}"
        else:
            description = f"{named} has {count} mistakes:" + "".join(f"\n  {problem}" for problem in self.problems)
        resolution = f"correct {file}"
        if not file:
            resolution = "give what is missing on the command line, or in a configuration file with -o"
        elif domain == "serverconfig":
            resolution += f", and check it again with: daos_server config check -o {file}"
        super().__init__(domain, Code.SERVER_BAD_CONFIG, description, resolution)
        self.file: Final = file
