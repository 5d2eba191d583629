"""Lists of names, and of names with values, as they are given for properties and attributes: "a:1,b:2"."""

from daos_control.faults import ControlError

MAX_NAME_LENGTH = 511


def names(text: str) -> tuple[str, ...]:
    """The names of "a,b"; a separator in quotes or after a backslash belongs to the name."""
    if not text:
        raise ControlError("key must not be empty")
    found = []
    for part in _split(text, ","):
        name = part.strip()
        _check_name(name)
        if len(_split(name, ":")) > 1:
            raise ControlError(f"\"{name}\": key cannot contain ':'")
        found.append(name)
    return tuple(dict.fromkeys(found))


def names_values(text: str) -> dict[str, str]:
    """The values by name of "a:1,b:2"; separators in quotes or after a backslash belong to what they stand in."""
    if not text:
        raise ControlError("empty property")
    found: dict[str, str] = {}
    for part in _split(text, ","):
        name_value = _split(part, ":", most=1)
        if len(name_value) != 2:
            raise ControlError(f'invalid property "{part}" (must be key:val)')
        name, value = (side.strip() for side in name_value)
        _check_name(name)
        if not value:
            raise ControlError("value must not be empty")
        if name in found:
            raise ControlError(f'"{name}": same key was specified more than once')
        found[name] = value
    return found


def _check_name(name: str) -> None:
    if not name:
        raise ControlError("key must not be empty")
    if len(name) > MAX_NAME_LENGTH:
        raise ControlError(f'"{name}": key too long ({len(name)} > {MAX_NAME_LENGTH})')


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    """The parts of `text` that are not empty, at most `most` splits; quotes and backslashes stay in."""
    parts = [""]
    quote = ""
    escaped = False
    splits = 0
    for char in text:
        if char in "\"'" and quote in ("", char):
            quote = "" if quote else char
        if char == separator and not quote and not escaped and splits != most:
            splits += 1
            parts.append("")
        else:
            parts[-1] += char
        escaped = char == "\\"
    return [part for part in parts if part]
