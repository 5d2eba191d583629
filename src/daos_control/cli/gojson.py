"""JSON in the bytes of DAOS's tools: two spaces of indentation, `<`, `>` and `&` escaped, fields in their order."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import IntFlag

from daos_control.system.hosts import HostSet
from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState

# The order matters not: none of the replacements contains what another one looks for.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def dumps(value: object) -> str:
    """The text of what `encode` makes of `value`, without a newline at the end."""
    return _write(encode(value), "")


def encode(value: object) -> object:
    """`value` as dictionaries, lists, texts and numbers.

    Of a dataclass the fields, under the names and with the options that their metadata gives (`client.model`); an
    empty tuple is None, as a list that was never set is null in Go.
    """
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case MemberState():
            return value.wire_name
        case IntFlag():
            return str(value)
        case int() | float():
            return value
        case RankSet():
            return value.to_json()
        case HostSet():
            return str(value)
        case tuple():
            return [encode(item) for item in value] or None
        case list():
            return [encode(item) for item in value]
        case Mapping():
            return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _fields(value: object) -> dict[str, object]:
    encoded: dict[str, object] = {}
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        name = field.metadata.get("json", field.name)
        content = getattr(value, field.name)
        if name == "-" or (field.metadata.get("omit_empty") and (content is None or content in ("", ()))):
            continue
        encoded[name] = [] if content == () and field.metadata.get("keep_empty") else encode(content)
    return encoded


def _write(value: object, indent: str) -> str:
    inner = indent + "  "
    match value:
        case dict():
            if not value:
                return "{}"
            entries = (f"{inner}{_text(str(key))}: {_write(item, inner)}" for key, item in value.items())
            return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
        case str():
            return _text(value)
        case Sequence():
            if not value:
                return "[]"
            return "[\n" + ",\n".join(inner + _write(item, inner) for item in value) + f"\n{indent}]"
        case float():
            return _number(value)
        case _:
            return json.dumps(value)


def _text(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    for char, escape in _ESCAPES.items():
        quoted = quoted.replace(char, escape)
    return quoted


def _number(value: float) -> str:
    """A float as Go writes it: no exponent between 1e-6 and 1e21, and no ".0"."""
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
