"""YAML text as a tree that remembers where everything stands.

Scalars keep the text as written beside the value that YAML gives it, because a key of type text takes `0755` or
`on` literally. Limits hold for every file: size, depth, and number of nodes after aliases are expanded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from daos_control.config.problems import NOWHERE, KeyPath, Position, Problem, format_key

SIZE_MAX_BYTES = 1 << 20
DEPTH_MAX = 32
NODES_MAX = 50_000

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"))
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_DIGITS_MAX = 70  # no integer key of ours needs more; longer ones are not worth converting

_TAGS_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}
_TAG_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: `text` as written, `plain` when it was neither quoted nor tagged as text."""

    text: str
    plain: bool = True
    position: Position = NOWHERE

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULL

    @property
    def value(self) -> str | int | float | bool | None:
        """The value by the rules of the YAML library that DAOS's own server uses (no base-60 numbers)."""
        text = self.text
        if not self.plain:
            return text
        if text in _NULL:
            return None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        if len(text) <= _DIGITS_MAX and _INTEGER.fullmatch(text):
            return _integer(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text


@dataclass(slots=True)
class Mapping:
    """`entries` by key, and where each key stands."""

    position: Position
    entries: "dict[str, Node]" = field(default_factory=dict)
    keys: dict[str, Position] = field(default_factory=dict)


@dataclass(slots=True)
class Sequence:
    position: Position
    items: "list[Node]" = field(default_factory=list)


Node: TypeAlias = Scalar | Mapping | Sequence


@dataclass(slots=True)
class Source:
    """A file as read: `root` is None where there is nothing to read it from; `problems` are mistakes of form."""

    file: str
    root: Mapping | None = None
    problems: list[Problem] = field(default_factory=list)

    def locate(self, path: KeyPath) -> Position:
        """Where the value at `path` stands, or else the nearest thing above it."""
        node: Node | None = self.root
        position = node.position if node is not None else Position()
        for part in path:
            if isinstance(node, Mapping) and isinstance(part, str) and part in node.entries:
                key = node.keys[part]
                node = node.entries[part]
                position = node.position if isinstance(node, Scalar) and not node.is_null else key
            elif isinstance(node, Sequence) and isinstance(part, int) and 0 <= part < len(node.items):
                node = node.items[part]
                position = node.position
            else:
                break
        return position

    def report(self, path: KeyPath, message: str, position: Position | None = None, **details: Any) -> None:
        place = position or self.locate(path)
        self.problems.append(
            Problem(self.file, format_key(path), message, line=place.line, column=place.column, **details)
        )


def parse(data: bytes | str, file: str) -> Source:
    """Read one YAML document whose top is a map. Never raises: what is wrong is in `problems` of the result."""
    source = Source(file)
    if len(data) > SIZE_MAX_BYTES:
        source.report((), "the file is too large", allowed=f"at most {SIZE_MAX_BYTES >> 20} MiB")
        return source
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            line = exc.object.count(b"\n", 0, exc.start) + 1
            source.report((), "the file is not UTF-8 text", Position(line))
            return source
    _Composer(source).compose(data)
    return source


class _Stop(Exception):
    """Reading ended early; the reason is among the problems already."""


class _Composer:
    """Builds the tree out of the events of PyYAML, whose own composer has neither limits nor key positions."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._open: set[str] = set()
        self._count = 0

    def compose(self, text: str) -> None:
        import yaml  # here, not above: commands that find no file need not load it

        source = self._source
        try:
            events = yaml.parse(text, Loader=yaml.SafeLoader)
            self._document(events)
        except _Stop:
            pass
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            place = Position(mark.line + 1, mark.column + 1) if mark else Position()
            what = ", ".join(part for part in (exc.context, exc.problem) if part)
            source.report((), f"this is not YAML: {what}", place, allowed=_syntax_hint(text, place))
        except yaml.reader.ReaderError as exc:
            before = text[: exc.position] if isinstance(exc.position, int) else ""
            place = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
            source.report((), "a character here is not allowed in YAML", place)
        except (yaml.YAMLError, ValueError, OverflowError):
            source.report((), "this is not YAML")  # an escape sequence outside Unicode, for one

    def _document(self, events: "Iterator[Any]") -> None:
        import yaml

        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                break
        else:
            return  # nothing but comments: an empty file, which is a map without keys
        node = self._node(next(events), events, (), 0)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                place = _position(event)
                self._source.report((), "a second document begins here, and only the first is read", place)
                break
        if isinstance(node, Mapping):
            self._source.root = node
        elif not (isinstance(node, Scalar) and node.is_null):
            self._source.report(
                (), "the file must be a map of keys", node.position, allowed="lines of `key: value`"
            )

    def _node(self, event: Any, events: "Iterator[Any]", path: KeyPath, depth: int) -> Node:
        import yaml

        position = _position(event)
        if depth > DEPTH_MAX:
            self._source.report(path[:4], f"nested too deeply (at most {DEPTH_MAX} levels)", position)
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        before = self._count
        self._add(1, path, position)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, path, depth)
        else:
            node = self._mapping(event, events, path, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (node, self._count - before)
        return node

    def _add(self, count: int, path: KeyPath, position: Position) -> None:
        self._count += count
        if self._count > NODES_MAX:
            self._source.report(path[:4], f"the file has too many values (at most {NODES_MAX})", position)
            raise _Stop

    def _alias(self, event: Any, path: KeyPath) -> Node:
        position = _position(event)
        known = self._anchors.get(event.anchor)
        if known is None or event.anchor in self._open:
            what = (
                "stands inside what it refers to" if event.anchor in self._open else "refers to nothing before it"
            )
            self._source.report(path, f"the alias *{event.anchor} {what}", position)
            return Scalar("", position=position)
        node, size = known
        self._add(size, path, position)
        return node

    def _scalar(self, event: Any, path: KeyPath) -> Scalar:
        plain = bool(event.implicit[0])
        if event.tag not in (None, "!", _TAG_TEXT):
            if event.tag in _TAGS_PLAIN:
                plain = True
            else:
                self._source.report(path, f"the tag {event.tag} is not known here", _position(event))
        elif event.tag is not None:
            plain = False
        text = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._source.report(path, "half a character is written here", _position(event))
            text = ""
        return Scalar(text, plain, _position(event))

    def _sequence(self, start: Any, events: "Iterator[Any]", path: KeyPath, depth: int) -> Sequence:
        import yaml

        node = Sequence(_position(start))
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            node.items.append(self._node(event, events, (*path, len(node.items)), depth + 1))
        return node

    def _mapping(self, start: Any, events: "Iterator[Any]", path: KeyPath, depth: int) -> Mapping:
        import yaml

        node = Mapping(_position(start))
        merges: list[Node] = []
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            position = _position(event)
            key = self._node(event, events, path, depth + 1)
            if isinstance(key, Scalar) and key.text == "<<" and key.plain:
                merges.append(self._node(next(events), events, path, depth + 1))
                continue
            name = key.text if isinstance(key, Scalar) else "?"
            value = self._node(next(events), events, (*path, name), depth + 1)
            if not isinstance(key, Scalar) or not name:
                self._source.report(path, "a key must be a name", position)
            elif name in node.entries:
                first = node.keys[name].line
                self._source.report((*path, name), f"this key stands already on line {first}", position)
            else:
                node.entries[name] = value
                node.keys[name] = position
        for merge in merges:
            self._merge(node, merge, path)
        return node

    def _merge(self, into: Mapping, what: Node, path: KeyPath) -> None:
        """`<<: *anchor`: keys that are not given here are taken from there."""
        for part in what.items if isinstance(what, Sequence) else [what]:
            if not isinstance(part, Mapping):
                self._source.report(path, "<< must be followed by maps to take keys from", what.position)
                return
            for name, value in part.entries.items():
                if name not in into.entries:
                    into.entries[name] = value
                    into.keys[name] = part.keys[name]


def _position(event: Any) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _syntax_hint(text: str, place: Position) -> str:
    lines = text.splitlines()
    if 0 < place.line <= len(lines) and "\t" in lines[place.line - 1]:
        return "indent with blanks, not with tabs"
    return ""


def _integer(text: str) -> int | str:
    digits = text.lstrip("+-").replace("_", "")
    sign = -1 if text.startswith("-") else 1
    try:
        if digits[:2] in ("0x", "0X", "0b", "0B", "0o", "0O"):
            return sign * int(digits, 0)
        return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)
    except ValueError:
        return text
