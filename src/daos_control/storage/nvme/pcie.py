"""The PCIe link of a device, out of its configuration space."""

from dataclasses import dataclass

_STATUS, _CAPABILITIES_BIT = 0x06, 0x10
_FIRST_CAPABILITY = 0x34
_PCI_EXPRESS = 0x10
_LINK_CAPABILITIES, _LINK_STATUS = 0x0C, 0x12
_HEADER_BYTES = 0x40
# Transfers per second by the number that the specification gives each generation.
_SPEEDS = {1: 2.5e9, 2: 5e9, 3: 8e9, 4: 16e9, 5: 32e9, 6: 64e9}


@dataclass(frozen=True, slots=True)
class Link:
    """Speeds are in transfers per second, 0 where the device does not tell; widths are in lanes."""

    port: int = 0
    max_speed: float = 0.0
    max_width: int = 0
    speed: float = 0.0
    width: int = 0


def link(config: bytes) -> Link | None:
    """None where the device has no PCIe capability, or too little of its configuration space could be read (an
    ordinary user sees the first 64 bytes only)."""
    if len(config) < _HEADER_BYTES or not config[_STATUS] & _CAPABILITIES_BIT:
        return None
    at = config[_FIRST_CAPABILITY] & 0xFC
    seen: set[int] = set()
    while at >= _HEADER_BYTES and at + 2 <= len(config) and at not in seen:
        seen.add(at)
        if config[at] == _PCI_EXPRESS:
            return _decode(config[at : at + _LINK_STATUS + 2])
        at = config[at + 1] & 0xFC
    return None


def _decode(capability: bytes) -> Link | None:
    if len(capability) < _LINK_STATUS + 2:
        return None
    limits = int.from_bytes(capability[_LINK_CAPABILITIES : _LINK_CAPABILITIES + 4], "little")
    status = int.from_bytes(capability[_LINK_STATUS : _LINK_STATUS + 2], "little")
    return Link(
        port=limits >> 24,
        max_speed=_SPEEDS.get(limits & 0xF, 0.0),
        max_width=limits >> 4 & 0x3F,
        speed=_SPEEDS.get(status & 0xF, 0.0),
        width=status >> 4 & 0x3F,
    )
