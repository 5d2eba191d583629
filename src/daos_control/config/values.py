"""One value of a configuration file into one Python value, or a `ValueProblem` that says why not.

Each converter takes a `Scalar` of a file, or a plain Python value where a configuration is made by a program.
"""

import ipaddress
import re
from pathlib import Path
from typing import NamedTuple, NoReturn

from daos_control.config.source import Mapping, Scalar, Sequence
from daos_control.faults import Code

PORT_MAX = 65535
NAME_MAX_BYTES = 15


class ValueProblem(ValueError):
    """`message` says what is wrong with the value, `allowed` what would be right."""

    def __init__(self, message: str, allowed: str = "", code: int = Code.SERVER_BAD_CONFIG) -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed
        self.code = int(code)


class BusRange(NamedTuple):
    """PCI bus numbers from `begin` to `end`, both included."""

    begin: int
    end: int

    def __str__(self) -> str:
        return f"0x{self.begin:02x}-0x{self.end:02x}"


def show(value: object) -> str:
    """A value as the reader of an error wants to see it."""
    if isinstance(value, Mapping | dict):
        return "a map"
    if isinstance(value, Sequence | list | tuple):
        return "a list"
    if value is None or (isinstance(value, Scalar) and value.is_null):
        return "nothing"
    if isinstance(value, Scalar):
        text = value.text if value.plain else f'"{value.text}"'
    else:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse(value: object, wanted: str, allowed: str = "", code: int = Code.SERVER_BAD_CONFIG) -> NoReturn:
    raise ValueProblem(f"must be {wanted}, not {show(value)}", allowed, code)


def _plain(value: object) -> object:
    return value.value if isinstance(value, Scalar) else value


def to_text(value: object) -> str:
    """Any single value, taken as it is written."""
    if isinstance(value, Scalar) and not value.is_null:
        return value.text
    if isinstance(value, str | Path):
        return str(value)
    _refuse(value, "text")


def to_bool(value: object) -> bool:
    plain = _plain(value)
    if isinstance(plain, bool):
        return plain
    _refuse(value, "true or false")


def to_int(value: object, low: int, high: int | None, allowed: str = "", code: int = Code.SERVER_BAD_CONFIG) -> int:
    """An integer from `low` to `high` (None: no upper limit)."""
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, int):
        _refuse(value, "a whole number", allowed, code)
    if plain < low or (high is not None and plain > high):
        wanted = f"{low} or more" if high is None else f"from {low} to {high}"
        _refuse(value, wanted, allowed, code)
    return plain


def to_port(value: object, code: int = Code.SERVER_BAD_CONFIG) -> int:
    """A TCP port that can be listened on."""
    return to_int(value, 1, PORT_MAX, "a port number", code)


def to_path(value: object) -> Path | None:
    """A path; empty text is no path."""
    text = to_text(value)
    if "\0" in text:
        _refuse(value, "a path")
    return Path(text) if text else None


def to_some_path(value: object) -> Path:
    path = to_path(value)
    if path is None:
        _refuse(value, "a path")
    return path


def to_system_name(value: object) -> str:
    text = to_text(value)
    if not 1 <= len(text.encode("utf-8", "surrogatepass")) <= NAME_MAX_BYTES:
        _refuse(value, f"a name of 1 to {NAME_MAX_BYTES} bytes")
    return text


def to_choice(value: object, choices: tuple[str, ...], wanted: str, code: int = Code.SERVER_BAD_CONFIG) -> str:
    """One of `choices`, in whatever case they are written there."""
    text = to_text(value)
    for choice in choices:
        if text == choice:
            return choice
    _refuse(value, wanted, "one of " + ", ".join(choices), code)


def to_log_level(value: object) -> str:
    """A level of the control plane's log, upper case."""
    levels = ("DISABLED", "ERROR", "NOTICE", "INFO", "DEBUG", "TRACE")
    return to_choice(to_text(value).upper(), levels, "a log level")


def to_ipv4(value: object) -> str:
    text = to_text(value)
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        _refuse(value, "an IPv4 address", "as 192.0.2.7")


_PCI = re.compile(r"([0-9a-fA-F]{4}|[0-9a-fA-F]{6}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7a-fA-F89]{1,2})")


def looks_like_pci(text: str) -> bool:
    """Whether `text` is meant to be a PCI address, right or wrong (DAOS's own test)."""
    parts = text.split(":")
    return len(parts) == 3 and len(parts[0]) in (4, 6) and len(parts[1]) == 2 and len(parts[2]) >= 2


def to_pci_address(value: object) -> str:
    """A PCI address in its usual spelling, "0000:81:00.0"; behind a VMD the domain has six digits."""
    text = to_text(value)
    match = _PCI.fullmatch(text)
    if match is None:
        _refuse(value, "a PCI address", "as 0000:81:00.0")
    domain, bus, device, function = match.groups()
    return f"{domain.lower()}:{bus.lower()}:{device.lower()}.{int(function, 16):x}"


def to_device(value: object) -> str:
    """An entry of bdev_list: a PCI address, or else the name of a file or device."""
    text = to_text(value)
    if not text or "\0" in text:
        _refuse(value, "a device", "a PCI address as 0000:81:00.0, or a path")
    return to_pci_address(value) if looks_like_pci(text) else text


def to_bus_range(value: object) -> BusRange | None:
    """ "0x80-0x8f" or "128-143"; empty text is no range."""
    if isinstance(value, BusRange):
        return value
    text = to_text(value)
    if not text:
        return None
    ends = text.split("-")
    try:
        low, high = (_bus(end) for end in ends)
    except ValueError:
        _refuse(value, "a range of PCI buses", "as 0x80-0x8f, within 0x00-0xff")
    if low > high:
        _refuse(value, "a range of PCI buses", "the lower bus first")
    return BusRange(low, high)


def _bus(text: str) -> int:
    bus = Scalar(text).value
    if isinstance(bus, bool) or not isinstance(bus, int) or not 0 <= bus <= 0xFF or text[:1] in "+-":
        raise ValueError(text)
    return bus
