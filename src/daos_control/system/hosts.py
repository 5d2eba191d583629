"""Sets of hosts, as people write them: "node[001-128,130]:10001,login"."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from daos_control.faults import ControlError
from daos_control.system.ranks import spans

MAX_RANGE = 16384  # last - first of one range, as in DAOS
MAX_HOSTS = 1 << 16  # of one set
MAX_PORT = 65535

# What folds: the digits right after the letters; after the last dash; the last octet of an IPv4 address.
_PLAIN = re.compile(r"([A-Za-z]+)(\d*)(.*)", re.ASCII)
_DASHED = re.compile(r"([A-Za-z0-9-]+-)(\d*)(.*)", re.ASCII)
_IPV4 = re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.)(\d{1,3})(:\d+)?", re.ASCII)
_SUFFIX = re.compile(r"[A-Za-z0-9._-]*(:\d{1,5})?", re.ASCII)
_BRACKETS = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]([^\[\]]*)")
_RANGE = re.compile(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Host:
    """A host's name taken apart; without digits nothing of it folds and all of it is the prefix."""

    prefix: str
    digits: str = ""
    suffix: str = ""

    @property
    def text(self) -> str:
        return self.prefix + self.digits + self.suffix


@dataclass(frozen=True, slots=True, init=False)
class HostSet:
    """An immutable set of host names, each with or without a port, in a stable order.

    Names are kept as they were written: "node1" and "node01", and "node1" and "node1:10001", are different.
    """

    hosts: tuple[str, ...]
    _folded: str

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        """Each of `hosts` may be anything that `parse` takes. Raises ControlError as it does."""
        found: dict[str, _Host] = {}
        for text in hosts:
            for token in _tokens(text):
                for host in _expand(token):
                    known = found.get(host.text)
                    # A name that folds by itself folds the same way wherever it came from.
                    if known is None or not known.digits:
                        found[host.text] = host
                if len(found) > MAX_HOSTS:
                    raise ControlError(f"more than {MAX_HOSTS} hosts in one list")
        ordered, folded = _fold(found.values())
        object.__setattr__(self, "hosts", ordered)
        object.__setattr__(self, "_folded", folded)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The set of a list separated by commas or white space; "" is empty.

        Raises ControlError where a name is no host name, a range no range, or an address IPv6.
        """
        return cls((text,))

    def __str__(self) -> str:
        """Folded: "host[1-3,5]:10001"."""
        return self._folded

    @property
    def deranged(self) -> str:
        """Every host by itself, separated by commas."""
        return ",".join(self.hosts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    def __contains__(self, host: object) -> bool:
        return host in self.hosts

    def __or__(self, other: "HostSet") -> "HostSet":
        return HostSet((self._folded, other._folded))

    def __and__(self, other: "HostSet") -> "HostSet":
        return HostSet(h for h in self.hosts if h in set(other.hosts))

    def __sub__(self, other: "HostSet") -> "HostSet":
        return HostSet(h for h in self.hosts if h not in set(other.hosts))


def split_port(host: str) -> tuple[str, int | None]:
    """The name and the port of one host, None where it has none."""
    name, colon, port = host.rpartition(":")
    return (name, int(port)) if colon else (host, None)


def with_port(host: str, port: int) -> str:
    """`host` with `port` unless it has one of its own."""
    return host if split_port(host)[1] is not None else f"{host}:{port}"


def _tokens(text: str) -> Iterator[str]:
    """The elements of a list; separators within brackets belong to the element."""
    depth, start = 0, 0
    for position, char in enumerate(text):
        if char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        elif depth <= 0 and (char == "," or char.isspace()):
            if start < position:
                yield text[start:position]
            start = position + 1
    if start < len(text):
        yield text[start:]


def _expand(token: str) -> Iterator[_Host]:
    if "[" not in token and "]" not in token:
        yield _parse(token)
        return
    brackets = _BRACKETS.fullmatch(token)
    if brackets is None:
        raise ControlError(f"invalid range in {token!r}: one pair of brackets is allowed, as host[1-3,5]")
    prefix, inner, suffix = brackets.groups()
    if not prefix:
        raise ControlError(f"invalid range in {token!r}: no name before the brackets (missing prefix)")
    for part in inner.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ControlError(f"invalid range {part!r} in {token!r}: not a number, nor two with a dash between")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise ControlError(f"invalid range {part!r} in {token!r}: {high} < {low}")
        if high - low > MAX_RANGE:
            raise ControlError(f"invalid range {part!r} in {token!r}: more than {MAX_RANGE} hosts")
        width = len(match[1])
        for number in range(low, high + 1):
            host = _parse(f"{prefix}{number:0{width}d}{suffix}")
            yield host if host.digits else _Host(prefix, f"{number:0{width}d}", suffix)


def _parse(name: str) -> _Host:
    if name.count(":") > 1:
        raise ControlError(f"invalid hostname {name!r}: IPv6 addresses are not supported")
    for pattern in (_IPV4, _DASHED if "-" in name.partition(":")[0] else _PLAIN):
        match = pattern.fullmatch(name)
        if match is not None and _SUFFIX.fullmatch(match[3] or ""):
            _check_port(name)
            return _Host(match[1], match[2], match[3] or "") if match[2] else _Host(name)
    raise ControlError(f"invalid hostname {name!r}: expected a name or an IPv4 address with an optional :port")


def _check_port(name: str) -> None:
    port = split_port(name)[1]
    if port is not None and not 0 < port <= MAX_PORT:
        raise ControlError(f"invalid hostname {name!r}: {port} is no port (1 to {MAX_PORT})")


def _fold(hosts: Iterable[_Host]) -> tuple[tuple[str, ...], str]:
    """All names in order, and their folded form: sorted by prefix, then suffix, then number."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host in hosts:
        groups[host.prefix, host.suffix].append(host.digits)
    names: list[str] = []
    folded: list[str] = []
    for (prefix, suffix), digits in sorted(groups.items()):
        if "" in digits:
            digits.remove("")
            names.append(prefix)
            folded.append(prefix)
        if not digits:
            continue
        ranges: list[str] = []
        for width, numbers in _by_width(digits):
            names.extend(f"{prefix}{number:0{width}d}{suffix}" for number in numbers)
            ranges.extend(
                f"{low:0{width}d}" if low == high else f"{low:0{width}d}-{high:0{width}d}"
                for low, high in spans(numbers)
            )
        inner = ",".join(ranges)
        folded.append(f"{prefix}{inner}{suffix}" if len(digits) == 1 else f"{prefix}[{inner}]{suffix}")
    return tuple(names), ",".join(folded)


def _by_width(digits: Iterable[str]) -> list[tuple[int, list[int]]]:
    """Numbers that may share a range: equal padding, or none. Ascending, the unpadded first."""
    texts = set(digits)
    padded = {len(d) for d in texts if len(d) > 1 and d[0] == "0"}
    widths: dict[int, list[int]] = defaultdict(list)
    for text in texts:
        # "100" needs no padding, and so continues "098-099" as well as "98-99".
        widths[len(text) if len(text) in padded else 1].append(int(text))
    return [(width, sorted(numbers)) for width, numbers in sorted(widths.items())]
