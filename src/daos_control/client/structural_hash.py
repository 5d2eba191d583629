"""The number of 64 bits by which DAOS's tools stand for equal content of hosts, in the keys of their JSON.

It is FNV-1 over names and values, little-endian; what has no order is mixed by exclusive or. Values are hashed by
`text`, `number` and `flag`, put together by `sequence`, `unordered` and `structure`.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Final

_OFFSET: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1


def fnv(data: bytes) -> int:
    """FNV-1 of 64 bits."""
    value = _OFFSET
    for byte in data:
        value = (value * _PRIME) & _MASK ^ byte
    return value


def text(value: str) -> int:
    return fnv(value.encode())


def number(value: int, size_bytes: int = 8) -> int:
    """An integer of a fixed width; negative ones as their two's complement."""
    return fnv((value & ((1 << size_bytes * 8) - 1)).to_bytes(size_bytes, "little"))


def float32(value: float) -> int:
    return fnv(struct.pack("<f", value))


def flag(value: bool) -> int:
    return number(int(value), 1)


def unordered(hashes: Iterable[int], *, finished: bool) -> int:
    """Elements in any order; the exclusive or of them is `finished` by hashing it, unless a list counts as a set
    only because all lists do."""
    mixed = 0
    for item in hashes:
        mixed ^= item
    return number(mixed) if finished else mixed


def structure(name: str, fields: Mapping[str, int]) -> int:
    """A record: its type's name and the hashes of its fields by name."""
    value = text(name)
    for field, item in fields.items():
        value = number(value ^ _pair(text(field), item))
    return value


def _pair(first: int, second: int) -> int:
    return fnv(first.to_bytes(8, "little") + second.to_bytes(8, "little"))
