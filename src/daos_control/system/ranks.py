"""Sets of ranks, as people write them: "0-3,5"."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from daos_control.faults import ControlError
from daos_control.system.member import MAX_RANK

MAX_RANKS = 1 << 17  # of one set: a bound on what a text of a few bytes may make us build

_RANGE = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)


def spans(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The runs of consecutive numbers in ascending `numbers`, as (first, last)."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


@dataclass(frozen=True, slots=True, init=False)
class RankSet:
    """An immutable set of ranks, each 0..MAX_RANK, in ascending order; empty stands for "none named"."""

    ranks: tuple[int, ...]

    def __init__(self, ranks: Iterable[int] = ()) -> None:
        """Raises ControlError for a rank out of range."""
        ordered = tuple(sorted(set(ranks)))
        if ordered and not (ordered[0] >= 0 and ordered[-1] <= MAX_RANK):
            wrong = ordered[0] if ordered[0] < 0 else ordered[-1]
            raise ControlError(f"rank {wrong} is out of range (0 to {MAX_RANK})")
        object.__setattr__(self, "ranks", ordered)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The set of "0-3,5", with or without brackets around it; "" and "[]" are empty.

        Raises ControlError where `text` is no such list or names more than MAX_RANKS ranks.
        """
        inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        if not inner:
            return cls()
        ranks: set[int] = set()
        for part in inner.split(","):
            match = _RANGE.fullmatch(part)
            if match is None:
                raise ControlError(f"invalid rank list {text!r}: {part!r} is neither a rank nor a range of ranks")
            low, high = int(match[1]), int(match[2] or match[1])
            if high < low:
                raise ControlError(f"invalid rank list {text!r}: the range {part!r} runs backwards")
            if high > MAX_RANK:
                raise ControlError(f"invalid rank list {text!r}: rank {high} is out of range (0 to {MAX_RANK})")
            if high - low >= MAX_RANKS or len(ranks) + high - low >= MAX_RANKS:
                raise ControlError(f"invalid rank list {text!r}: more than {MAX_RANKS} ranks")
            ranks.update(range(low, high + 1))
        return cls(ranks)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The set of an array of integers, or of its text form. Raises ControlError for anything else."""
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return cls(value)
        raise ControlError(f"{value!r} is not a list of ranks")

    def to_json(self) -> list[int]:
        return list(self.ranks)

    def __str__(self) -> str:
        """ "0-3,5", without brackets; "" when empty."""
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans(self.ranks))

    @property
    def ranged(self) -> str:
        """ "[0-3,5]": in brackets where more than one rank is in it."""
        text = str(self)
        return f"[{text}]" if len(self.ranks) > 1 else text

    def __iter__(self) -> Iterator[int]:
        return iter(self.ranks)

    def __len__(self) -> int:
        return len(self.ranks)

    def __contains__(self, rank: object) -> bool:
        return rank in self.ranks

    def __or__(self, other: "RankSet") -> "RankSet":
        return RankSet(self.ranks + other.ranks)

    def __and__(self, other: "RankSet") -> "RankSet":
        return RankSet(set(self.ranks).intersection(other.ranks))

    def __sub__(self, other: "RankSet") -> "RankSet":
        return RankSet(set(self.ranks).difference(other.ranks))
