"""The product's own version, and the DAOS version that it speaks on the wire."""

from dataclasses import dataclass
from typing import Self

PRODUCT_VERSION = "0.1.0"
DAOS_VERSION = "2.8.0"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """MAJOR.MINOR.PATCH; an optional suffix such as "-rc1" is accepted and ignored."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when `text` is no version."""
        numbers = text.partition("-")[0].split(".")
        if len(numbers) != 3 or not all(n.isascii() and n.isdigit() for n in numbers):
            raise ValueError(f"{text!r} is not a version of the form MAJOR.MINOR.PATCH")
        return cls(*(int(n) for n in numbers))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def system_request_name(system: str) -> str:
    """The `sys` field of a request: the system's name with our DAOS version, as "daos_server-2.8.0"."""
    return f"{system}-{DAOS_VERSION}"


def split_system_name(text: str) -> tuple[str, Version | None]:
    """Undo `system_request_name`; a suffix that is no version belongs to the name."""
    name, dash, suffix = text.rpartition("-")
    if dash:
        try:
            return name, Version.parse(suffix)
        except ValueError:
            pass
    return text, None
