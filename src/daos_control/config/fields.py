"""The types of configuration keys: a converter from `values` for pydantic, and words for the documentation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from daos_control.config import values
from daos_control.faults import Code


@dataclass(frozen=True, slots=True)
class Kind:
    """How the documentation names a type."""

    words: str


def _text_of(value: object) -> str:
    return "" if value is None else str(value)


def integer(low: int, high: int | None, words: str, code: int = Code.SERVER_BAD_CONFIG) -> tuple[Any, Kind]:
    """Validator of a whole number within limits (None: no upper one)."""

    def convert(value: object) -> int:
        return values.to_int(value, low, high, code=code)

    return BeforeValidator(convert), Kind(words)


def _optional(convert: Callable[[object], object]) -> BeforeValidator:
    """None stands for a key that is not given; it only comes from programs, never from a file."""
    return BeforeValidator(lambda value: None if value is None else convert(value))


def port(code: int) -> tuple[Any, Kind]:
    """Validator of a port that answers with `code` where it is none."""
    return BeforeValidator(lambda value: values.to_port(value, code)), Kind("port")


_UINT32 = (1 << 32) - 1
_PATH_OUT = PlainSerializer(_text_of)

Text = Annotated[str, BeforeValidator(values.to_text), Kind("text")]
SystemName = Annotated[str, BeforeValidator(values.to_system_name), Kind("text of 1 to 15 bytes")]
Flag = Annotated[bool, BeforeValidator(values.to_bool), Kind("true or false")]
OptionalFlag = Annotated[bool | None, _optional(values.to_bool), Kind("true or false")]
OptionalText = Annotated[str | None, _optional(values.to_text), Kind("text")]
OptionalPath = Annotated[Path | None, _optional(values.to_path), _PATH_OUT, Kind("path")]
SomePath = Annotated[Path, BeforeValidator(values.to_some_path), _PATH_OUT, Kind("path")]
Port = Annotated[int, *port(Code.SERVER_CONFIG_BAD_CONTROL_PORT)]
FabricPort = Annotated[int, *integer(0, values.PORT_MAX, "port")]
Count = Annotated[int, *integer(0, None, "number")]
GiB = Annotated[int, *integer(0, 1 << 30, "GiB")]
Seconds = Annotated[int, *integer(0, None, "seconds")]
UInt8 = Annotated[int, *integer(0, 0xFF, "0 to 255")]
UInt32 = Annotated[int, *integer(0, _UINT32, "number")]
Integer = Annotated[int, *integer(-(1 << 63), (1 << 63) - 1, "number")]
OptionalCount = Annotated[int | None, _optional(lambda value: values.to_int(value, 0, _UINT32)), Kind("number")]
OptionalIPv4 = Annotated[str | None, _optional(values.to_ipv4), Kind("IPv4 address")]
LogLevel = Annotated[str, BeforeValidator(values.to_log_level), Kind("log level")]
PciAddress = Annotated[str, BeforeValidator(values.to_pci_address), Kind("PCI address")]
Device = Annotated[str, BeforeValidator(values.to_device), Kind("device")]
BusRange = Annotated[
    values.BusRange | None, _optional(values.to_bus_range), PlainSerializer(_text_of), Kind("range of PCI buses")
]


def choice(wanted: str, choices: tuple[str, ...], words: str = "") -> tuple[Any, Kind]:
    """Validator of one of several words; the empty text stands for none chosen."""
    return (
        BeforeValidator(lambda value: value if value == "" else values.to_choice(value, choices, wanted)),
        Kind(words or " | ".join(choices)),
    )


StorageClass = Annotated[str, *choice("a storage class", ("dcpm", "ram", "nvme", "file", "kdev"))]


def key(default: Any, doc: str, **options: Any) -> Any:
    """A key with its default and the sentence that documents it."""
    if isinstance(default, list):
        return Field(default_factory=lambda: list(default), description=doc, **options)
    return Field(default=default, description=doc, **options)
