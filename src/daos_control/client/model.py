"""How the client's dataclasses are printed as JSON, and when those of two hosts count as equal.

A field is printed under its own name and in its place, unless its metadata says otherwise. An empty tuple is
printed as null, as DAOS prints a list that was never set.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from daos_control.client.errors import PartialFailureError, root_cause
from daos_control.system.hosts import HostSet

Metadata = Mapping[str, object]

HIDDEN: Final[Metadata] = {"json": "-"}
"""The field is not printed."""
OMIT_EMPTY: Final[Metadata] = {"omit_empty": True}
"""The field is left out where it is None or empty."""
KEEP_EMPTY: Final[Metadata] = {"keep_empty": True}
"""An empty tuple is printed as an empty list: DAOS's tools make that list themselves."""
NOT_FOLDED: Final[Metadata] = {"fold": False}
"""Hosts that differ in this field only are shown together."""


def named(name: str) -> Metadata:
    """The field is printed under another name than its own."""
    return {"json": name}


def fold_key(value: object) -> object:
    """A hashable equal for values that count as equal: fields not to be folded by are left out, and the order of
    elements does not matter."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f for f in dataclasses.fields(value) if f.metadata.get("fold", True)]
        return type(value).__name__, *((f.name, fold_key(getattr(value, f.name))) for f in fields)
    if isinstance(value, (tuple, list)):
        return tuple(sorted((fold_key(item) for item in value), key=repr))
    return value


def stable_number(key: object) -> int:
    """A number of 64 bits for a fold key, the same in every process."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big")


T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class HostGroup(Generic[T]):
    """Hosts that gave the same answer; `key` is a number of 64 bits that stands for that answer."""

    key: int
    hosts: HostSet
    content: T


def fold(contents: Iterable[tuple[str, T]], number: Callable[[T], int] | None = None) -> tuple[HostGroup[T], ...]:
    """Put the hosts with equal content together, ordered by their names; the content shown is that of the first.

    `number` gives the number that stands for a content; by default it is one of our own.
    """
    groups: dict[object, tuple[list[str], T]] = {}
    for address, content in contents:
        hosts, _ = groups.setdefault(fold_key(content), ([], content))
        hosts.append(address)
    folded = [
        HostGroup(stable_number(key) if number is None else number(content), HostSet(hosts), content)
        for key, (hosts, content) in groups.items()
    ]
    return tuple(sorted(folded, key=lambda group: str(group.hosts)))


@dataclasses.dataclass(frozen=True, slots=True)
class HostErrorGroup:
    """Hosts that failed with the same error text."""

    hosts: HostSet
    error: Exception


def fold_errors(failures: Sequence[tuple[str, Exception]]) -> tuple[HostErrorGroup, ...]:
    """Put the hosts with equal errors together, ordered by their names and then by the error's text."""
    groups: dict[str, tuple[list[str], Exception]] = {}
    for address, error in failures:
        hosts, _ = groups.setdefault(str(error), ([], error))
        hosts.append(address)
    folded = [HostErrorGroup(HostSet(hosts), error) for hosts, error in groups.values()]
    return tuple(sorted(folded, key=lambda group: (str(group.hosts), str(group.error))))


@dataclasses.dataclass(frozen=True, slots=True)
class HostsResponse:
    """What many hosts answered: the failures, and in the subclass the answers."""

    host_errors: tuple[HostErrorGroup, ...]

    @property
    def failure(self) -> PartialFailureError | None:
        """One error for all the hosts that failed; None where none did."""
        failed = {host for group in self.host_errors for host in group.hosts}
        if not failed:
            return None
        return PartialFailureError(f"{plural(len(failed), 'host')} had errors", self)


def plural(count: int, noun: str) -> str:
    """ "1 host", "2 hosts"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def plural_word(count: int, noun: str, many: str = "") -> str:
    """The word alone: "rank", "ranks"."""
    return noun if count == 1 else many or f"{noun}s"


def describe_error(error: Exception) -> str:
    """An error's text for a table cell: of a Fault its description."""
    cause = root_cause(error)
    return str(getattr(cause, "description", cause))
