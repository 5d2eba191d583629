"""Whether DAX is in effect for a file, asked of the kernel itself rather than read off mount options."""

import ctypes
import os
from pathlib import Path

_AT_FDCWD, _STATX_BASIC_STATS, _STATX_ATTR_DAX = -100, 0x7FF, 0x00200000
_STATX_BYTES, _ATTRIBUTES_AT = 256, 8
_PROT_RW, _MAP_SHARED_VALIDATE, _MAP_SYNC = 0x3, 0x03, 0x80000
_MAP_FAILED = ctypes.c_void_p(-1).value


def attribute(path: Path) -> bool:
    """What statx(2) says of the file."""
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if _libc().statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BASIC_STATS, buffer) != 0:
        raise OSError(ctypes.get_errno(), "statx", os.fspath(path))
    attributes = int.from_bytes(buffer.raw[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 8], "little")
    return bool(attributes & _STATX_ATTR_DAX)


def maps_synchronously(path: Path, data: bytes) -> bool:
    """Whether the file's memory can be mapped itself (MAP_SYNC), which page cache cannot; the data then are
    written through that mapping."""
    libc = _libc()
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *([ctypes.c_int] * 3), ctypes.c_long]
    size = path.stat().st_size
    with path.open("r+b") as file:
        address = libc.mmap(None, size, _PROT_RW, _MAP_SHARED_VALIDATE | _MAP_SYNC, file.fileno(), 0)
        if address == _MAP_FAILED:
            return False
        ctypes.memmove(address, data, len(data))
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
