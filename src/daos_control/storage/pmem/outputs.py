"""What ipmctl and ndctl print, as data: pure functions over their texts. All raise OutputError."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from daos_control.storage.pmem.model import Health, KernelRegion, Module, Namespace, Region, RegionKind

NO_MODULES = "No PMem modules in the system"
NO_REGIONS = "no Regions defined in the system"
NOT_ROOT = "requires root privileges"
UNIT_BYTES_MIN = 2 << 20
# https://github.com/intel/ipmctl/commit/9e3898cb15fa9eed3ef3e9de4488be1681d53ff4 mended what these do wrong.
BAD_VERSIONS = frozenset({"02.00.00.3809", "02.00.00.3814", "02.00.00.3816"})

_VERSION = re.compile(r"\b(\d{2}\.\d{2}\.\d{2}\.\d{4})\b")
_SIZE = re.compile(r"^(\d+(?:\.\d+)?) *([KMGTPE]?)(i?)B$", re.IGNORECASE)
_PREFIXES = ("", "K", "M", "G", "T", "P", "E")
_SET_MASK = (1 << 64) - 1


class OutputError(Exception):
    """A text that is not what the program is known to print."""


def ipmctl_version(text: str) -> str:
    """ "02.00.00.3825" of what `ipmctl version` prints."""
    match = _VERSION.search(text)
    if match is None:
        raise OutputError(f"no version in {_short(text)!r}")
    return match[1]


def ipmctl_modules(text: str) -> tuple[Module, ...]:
    """The modules of `ipmctl show -o nvmxml -dimm`, by their physical id."""
    if NO_MODULES in text:
        return ()
    found = [
        Module(
            channel_id=_number(dimm, "ChannelID"),
            channel_position=_number(dimm, "ChannelPos"),
            controller_id=_number(dimm, "MemControllerID"),
            socket_id=_number(dimm, "SocketID"),
            physical_id=_number(dimm, "PhysicalID"),
            capacity=size(_text(dimm, "Capacity")),
            uid=_text(dimm, "DimmUID"),
            part_number=_text(dimm, "PartNumber"),
            firmware_revision=_text(dimm, "FWVersion"),
            health_state=_text(dimm, "HealthState"),
        )
        for dimm in _elements(text, "DimmList", "Dimm")
    ]
    return tuple(sorted(found, key=lambda module: module.physical_id))


def ipmctl_regions(text: str) -> tuple[Region, ...]:
    """The regions of `ipmctl show -o nvmxml -region`."""
    if NO_REGIONS in text or NO_MODULES in text:
        return ()
    return tuple(
        Region(
            socket_id=_number(region, "SocketID"),
            kind=_member(RegionKind, _text(region, "PersistentMemoryType")),
            capacity=size(_text(region, "Capacity")),
            free=size(_text(region, "FreeCapacity")),
            health=_member(Health, _text(region, "HealthState")),
            iset_id=_number(region, "ISetID") & _SET_MASK,
        )
        for region in _elements(text, "RegionList", "Region")
    )


def ndctl_namespaces(text: str) -> tuple[Namespace, ...]:
    """The namespaces of `ndctl list -N -v`, with or without -c; those without any size are left out."""
    return tuple(
        Namespace(
            name=_field(entry, "dev", str),
            block_device=_field(entry, "blockdev", str, ""),
            uuid=_field(entry, "uuid", str, ""),
            numa_node=max(_field(entry, "numa_node", int, 0), 0),
            size=_field(entry, "size", int, 0),
            mode=_field(entry, "mode", str, "raw"),
            enabled=_field(entry, "state", str, "enabled") != "disabled",
        )
        for entry in _listed(text, "namespaces")
        if _field(entry, "size", int, 0) > 0
    )


def ndctl_regions(text: str) -> tuple[KernelRegion, ...]:
    """The regions of persistent memory of `ndctl list -R -v`, with or without -i."""
    return tuple(
        KernelRegion(
            name=_field(entry, "dev", str),
            size=_field(entry, "size", int, 0),
            available=_field(entry, "available_size", int, 0),
            unit=max(_field(entry, "align", int, 0), UNIT_BYTES_MIN),
            numa_node=max(_field(entry, "numa_node", int, 0), 0),
            iset_id=_field(entry, "iset_id", int, 0) & _SET_MASK,  # some releases print it with a sign
            modules=tuple(_field(m, "dimm", str) for m in _field(entry, "mappings", list, [])),
            enabled=_field(entry, "state", str, "enabled") != "disabled",
        )
        for entry in _listed(text, "regions")
        if _field(entry, "type", str, "") == "pmem"
    )


def size(text: str) -> int:
    """Bytes of "502.599 GiB", "512 GB", "0 B", or a bare number."""
    if text.isascii() and text.isdigit():
        return int(text)
    match = _SIZE.match(text.strip())
    if match is None:
        raise OutputError(f"{_short(text)!r} is no size")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** _PREFIXES.index(match[2].upper()))


def _elements(text: str, root: str, name: str) -> Iterable[ElementTree.Element]:
    if NOT_ROOT in text:
        raise OutputError("ipmctl asks for root's privileges")
    try:
        tree = ElementTree.fromstring(text.strip())
    except ElementTree.ParseError as error:
        raise OutputError(f"{_short(text)!r} is not XML: {error}") from error
    if tree.tag == "Results" and all(result.tag == "Result" and not (result.text or "").strip() for result in tree):
        return []  # nothing for the socket asked for
    if tree.tag != root:
        raise OutputError(f"<{tree.tag}> where <{root}> is wanted: {_short(text)!r}")
    return tree.findall(name)


def _text(element: ElementTree.Element, name: str) -> str:
    found = element.findtext(name)
    if found is None:
        raise OutputError(f"<{element.tag}> has no <{name}>")
    return found.strip()


def _number(element: ElementTree.Element, name: str) -> int:
    text = _text(element, name)
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise OutputError(f"<{name}> is no number: {_short(text)!r}") from None


def _member(kind: Any, text: str) -> Any:
    return next((member for member in kind if member.value == text), kind.UNKNOWN)


def _listed(text: str, nested: str) -> Sequence[dict[str, Any]]:
    """The objects of a listing: none, one, a list, or under a key where other kinds are listed beside them."""
    if not text.strip():
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{_short(text)!r} is not JSON: {error}") from error
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in entries):
        raise OutputError(f"{_short(text)!r} lists no objects")
    found: list[dict[str, Any]] = []
    for entry in entries:
        if "dev" not in entry or (nested in entry and "provider" in entry):
            found += _field(entry, nested, list, [])
        else:
            found.append(entry)
    return found


def _field(entry: Any, name: str, kind: type, default: Any = None) -> Any:
    value = entry.get(name, default) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, kind):
        raise OutputError(f"{name!r} is {value!r} in {_short(str(entry))}")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."
