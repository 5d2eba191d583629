"""Byte sizes as people write and read them: "2GiB", "2.1 GB", "4.0 KiB".

Same spelling as DAOS's own tools: decimal units by default ("GB"), binary ones on request ("GiB"); one digit
after the point below ten, none above.
"""

import re
from fractions import Fraction

from daos_control.faults import ControlError

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_MAX = (1 << 64) - 1

_FACTORS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _FACTORS[_letter] = _FACTORS[_letter + "b"] = 1000**_power
    _FACTORS[_letter + "i"] = _FACTORS[_letter + "ib"] = 1024**_power

_SIZE = re.compile(r"\s*(\d[\d,]*(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def format_decimal(size: int) -> str:
    """`size` bytes in powers of 1000: "0 B", "630 MB", "2.1 GB"."""
    return _format(size, 1000, _DECIMAL)


def format_binary(size: int) -> str:
    """`size` bytes in powers of 1024: "4.0 KiB", "128 KiB"."""
    return _format(size, 1024, _BINARY)


def _format(size: int, base: int, units: tuple[str, ...]) -> str:
    if size < 0:
        raise ValueError(f"a size cannot be negative: {size}")
    if size < 10:
        return f"{size} B"
    power = 0
    while size >= base ** (power + 1) and power + 1 < len(units):
        power += 1
    tenths = (20 * size + base**power) // (2 * base**power)  # rounded half up
    if tenths < 100:
        return f"{tenths // 10}.{tenths % 10} {units[power]}"
    # The tenths are rounded a second time, half to even, as a printf of the rounded value does.
    return f"{tenths / 10:.0f} {units[power]}"


def parse(text: str) -> int:
    """Bytes of "4096", "2GB", "2 GiB", "1.5t", "1,000": units in any case, "k" is 1000 and "ki" 1024.

    Fractions of a byte are cut off. Raises ControlError where `text` is no such size, or needs more than 64 bits.
    """
    match = _SIZE.fullmatch(text)
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ControlError(f"{text!r} is not a size (a number with an optional unit, as 4096, 2GB or 512MiB)")
    size = int(Fraction(match[1].replace(",", "").rstrip(".")) * factor)
    if size > _MAX:
        raise ControlError(f"the size {text!r} is too large")
    return size
