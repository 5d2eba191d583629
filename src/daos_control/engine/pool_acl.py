"""Access control lists of pools: what an engine takes, and in which order it keeps them. Pure.

An entry is a text `TYPE:FLAGS:PRINCIPAL:PERMISSIONS`, as in "A::OWNER@:rw" and "A:G:readers@:r".
"""

from collections.abc import Iterable
from dataclasses import dataclass

from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

ENTRIES_MAX = 2048
_TEXT_MAX = 255 + 64
_PRINCIPAL_MAX = 255
_POOL_PERMISSIONS = "rctdw"
_ORDER = ("OWNER@", "user", "GROUP@", "group", "EVERYONE@")

DEFAULT = ("A::OWNER@:rw", "A:G:GROUP@:rw")


@dataclass(frozen=True, slots=True)
class Entry:
    """One parsed entry; `identity` is what may be there only once."""

    text: str
    principal: str
    is_group: bool

    @property
    def identity(self) -> tuple[int, str]:
        """Class of the principal in the order of a list, then its name."""
        if self.principal in _ORDER:
            return _ORDER.index(self.principal), ""
        return _ORDER.index("group" if self.is_group else "user"), self.principal


def parse_entry(text: str) -> Entry:
    """Raises DaosError INVAL for an entry that no pool may have."""
    fields = text.split(":")
    if len(text) > _TEXT_MAX or len(fields) != 4:
        raise _invalid(text, "it must read TYPE:FLAGS:PRINCIPAL:PERMISSIONS")
    types, flags, principal, permissions = fields
    if not types or set(types) - set("AUL") or len(set(types)) != len(types):
        raise _invalid(text, "its type is none of A, U, L")
    if set(flags) - set("GPFS"):
        raise _invalid(text, "it has an unknown flag")
    if set(permissions) - set(_POOL_PERMISSIONS):
        raise _invalid(text, f"a pool knows the permissions {_POOL_PERMISSIONS} only")
    special = principal in ("OWNER@", "GROUP@", "EVERYONE@")
    if not special and not is_principal(principal):
        raise _invalid(text, "its principal must read name@ or name@domain")
    is_group = "G" in flags
    if special and is_group != (principal == "GROUP@"):
        raise _invalid(text, "flag G goes with groups, and with groups only")
    return Entry(text, principal, is_group)


def is_principal(name: str) -> bool:
    """`name@` or `name@domain`, with exactly one @ and something before it."""
    return 0 < len(name) <= _PRINCIPAL_MAX and name.count("@") == 1 and not name.startswith("@")


def checked(texts: Iterable[str]) -> tuple[str, ...]:
    """A whole list in its order. Raises DaosError INVAL for a wrong entry or two of one principal."""
    entries = [parse_entry(text) for text in texts]
    if len(entries) > ENTRIES_MAX or len({entry.identity for entry in entries}) != len(entries):
        raise DaosError(Status.INVAL, "an access control list names each principal once")
    return _ordered(entries)


def merged(current: Iterable[str], texts: Iterable[str]) -> tuple[str, ...]:
    """`current` with entries added, or replaced where the principal has one. Raises DaosError INVAL."""
    entries = {entry.identity: entry for entry in map(parse_entry, current)}
    entries |= {entry.identity: entry for entry in map(parse_entry, checked(texts))}
    return _ordered(entries.values())


def without(current: Iterable[str], principal: str) -> tuple[str, ...]:
    """`current` without the entry of `OWNER@`, `GROUP@`, `EVERYONE@`, `u:name@` or `g:name@`.

    Raises DaosError INVAL where that is no principal, NONEXIST where it has no entry.
    """
    if principal in ("OWNER@", "GROUP@", "EVERYONE@"):
        identity = (_ORDER.index(principal), "")
    else:
        kind, _, name = principal.partition(":")
        if kind not in ("u", "g") or not is_principal(name):
            raise DaosError(Status.INVAL, f"{principal!r} is no principal (u:name@ or g:name@)")
        identity = (_ORDER.index("user" if kind == "u" else "group"), name)
    entries = [parse_entry(text) for text in current]
    rest = [entry for entry in entries if entry.identity != identity]
    if len(rest) == len(entries):
        raise DaosError(Status.NONEXIST, f"{principal} has no entry")
    return _ordered(rest)


def _ordered(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(entry.text for entry in sorted(entries, key=lambda entry: entry.identity[0]))


def _invalid(text: str, reason: str) -> DaosError:
    return DaosError(Status.INVAL, f"access control entry {text!r}: {reason}")
