"""Fault domains: where an engine stands ("/rack0/host1"), and the tree of them that pools are placed by."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from daos_control.faults import ControlError
from daos_control.system.member import Member

ROOT_ID = 1
FIRST_DOMAIN_ID = 2
# Of the first number of a compressed tree: the levels above the hosts are performance domains.
HAS_PERFORMANCE_DOMAIN = 0x2


@dataclass(frozen=True, slots=True)
class FaultDomain:
    """A path from the top; `labels` name its levels ("rack", "host"), all of them or none.

    Parts and labels are lower case, without the characters "/" and "=", and without blanks or quotes around.
    """

    parts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The path of "/rack0/host1" or "/rack=r0/host=h1"; "" and "/" are the empty one.

        Raises ControlError where `text` is no such path.
        """
        path = text.strip()
        if path in ("", "/"):
            return cls()
        if not path.startswith("/"):
            raise ControlError(f"invalid fault domain {text!r}: it must start with a slash, as /rack0/host1")
        parts: list[str] = []
        labels: list[str] = []
        for level in path[1:].split("/"):
            label, assigned, name = level.partition("=")
            if not assigned:
                label, name = "", label
            else:
                labels.append(_normalized(label, text))
            parts.append(_normalized(name, text))
        if labels and len(labels) != len(parts):
            raise ControlError(f"invalid fault domain {text!r}: either every level has a label or none")
        return cls(tuple(parts), tuple(labels))

    def __str__(self) -> str:
        if self.labels:
            return "/" + "/".join(f"{label}={part}" for label, part in zip(self.labels, self.parts, strict=True))
        return "/" + "/".join(self.parts)

    @property
    def levels(self) -> int:
        return len(self.parts)

    @property
    def is_empty(self) -> bool:
        return not self.parts


def _normalized(name: str, path: str) -> str:
    """Blanks and quotes around a name are dropped in any mixture, as DAOS does."""
    plain = name.strip('" \t\r\n').lower()
    if not plain:
        raise ControlError(f"invalid fault domain {path!r}: a level of it is empty")
    if "=" in plain:
        raise ControlError(f'invalid fault domain {path!r}: "=" within a name')
    return plain


def levels_of(path: str) -> int:
    """The number of levels of a path in its printed form; 0 for "/"."""
    return path.count("/") if len(path) > 1 else 0


def ancestors(path: str) -> Iterator[str]:
    """Every domain that a printed path passes, from the top down to itself: "/a/b" gives "/a", "/a/b"."""
    position = path.find("/", 1)
    while position > 0:
        yield path[:position]
        position = path.find("/", position + 1)
    if len(path) > 1:
        yield path


@dataclass(slots=True)
class Domain:
    """A node of the tree: a fault domain with the domains and ranks right below it."""

    path: str
    number: int
    children: list["Domain"]
    ranks: list[int]


def tree(members: Iterable[Member], numbers: Mapping[str, int]) -> Domain:
    """The tree of the domains of `members`; children in the order of their names.

    `numbers` is the number of each domain, which never changes once an engine has seen it (a pool's map keeps it).
    """
    root = Domain("/", ROOT_ID, [], [])
    nodes = {"/": root}
    for member in members:
        node = root
        for path in ancestors(member.fault_domain):
            child = nodes.get(path)
            if child is None:
                child = nodes[path] = Domain(path, numbers[path], [], [])
                node.children.append(child)
            node = child
        node.ranks.append(member.rank)
    for node in nodes.values():
        node.children.sort(key=lambda child: child.path)
        # DAOS orders the leaves by their names: "rank10" comes before "rank2".
        node.ranks.sort(key=str)
    return root


def compressed_tree(
    members: Collection[Member], numbers: Mapping[str, int], ranks: Collection[int] = ()
) -> tuple[int, ...]:
    """The tree in the form that engines take with a pool's creation or extension.

    First a bit mask about the whole system, then the nodes breadth first: (level, number, count of children) of a
    domain, where the lowest domains have level 1; (rank) of an engine. `ranks` limits the tree to these (none: all
    members); ControlError where one of them is no member's.
    """
    depth = max((levels_of(m.fault_domain) for m in members), default=0)
    wanted = set(ranks)
    chosen = [m for m in members if not wanted or m.rank in wanted]
    missing = wanted - {m.rank for m in chosen}
    if missing:
        raise ControlError(f"rank {min(missing)} is in no fault domain of this system")
    out = [HAS_PERFORMANCE_DOMAIN if depth > 1 else 0]
    level = max((levels_of(m.fault_domain) for m in chosen), default=-1) + 1
    row = [tree(chosen, numbers)]
    leaves: list[int] = []
    while row or leaves:
        out.extend(leaves)
        leaves = []
        below: list[Domain] = []
        for node in row:
            out += (level, node.number, len(node.children) + len(node.ranks))
            below += node.children
            leaves += node.ranks
        row = below
        level -= 1
    return tuple(out)
