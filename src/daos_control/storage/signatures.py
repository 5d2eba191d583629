"""What is written on a device, as libblkid tells: file systems, RAID members, swap, partition tables.

Never guessed: where libblkid cannot be asked, that is a Fault, and nothing is formatted.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daos_control.faults import Fault
from daos_control.faults import pbin as faults

PARTITION_TABLE = "partition table"

# Of <blkid/blkid.h>: what a probe reports, and that it also looks at what has a bad checksum.
_SUBLKS_LABEL, _SUBLKS_UUID, _SUBLKS_TYPE, _SUBLKS_USAGE, _SUBLKS_MAGIC, _SUBLKS_BADCSUM = 2, 8, 32, 128, 512, 1024
_SUBLKS = _SUBLKS_LABEL | _SUBLKS_UUID | _SUBLKS_TYPE | _SUBLKS_USAGE | _SUBLKS_MAGIC | _SUBLKS_BADCSUM
_PARTS_MAGIC = 8
_SIGNATURES_MAX = 1024  # a bound for the loop; ZFS alone can leave some hundred


@dataclass(frozen=True, slots=True)
class Signature:
    """One thing found on a device: `kind` is libblkid's name of it ("ext4", "swap", "gpt"), `usage` its group
    ("filesystem", "raid", "crypto", "other", or "partition table")."""

    kind: str
    usage: str
    label: str = ""
    uuid: str = ""

    def __str__(self) -> str:
        what = f"{self.kind} {self.usage}" if self.usage not in ("other", "") else self.kind
        return what + (f" labelled {self.label!r}" if self.label else "")


def probe(path: Path, *, sector_bytes: int | None = None) -> tuple[Signature, ...]:
    """All signatures on a device or file, in the order found; empty where it is blank. Raises Fault or OSError.

    `sector_bytes` is for a file that is the image of a device with other sectors than 512 bytes.
    """
    with _opened(path, os.O_RDONLY) as handle:
        if sector_bytes is not None:
            handle.set_sector(sector_bytes)
        return tuple(_walk(handle, wipe=False))


def wipe(path: Path) -> tuple[Signature, ...]:
    """Erase every signature (and nothing else), and say which there were. Raises Fault or OSError."""
    with _opened(path, os.O_RDWR | os.O_EXCL) as handle:
        return tuple(_walk(handle, wipe=True))


class _Probe:
    """A libblkid probe on an open file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.lib = _libblkid()
        self.handle: Any = self.lib.blkid_new_probe()
        if not self.handle or self.lib.blkid_probe_set_device(self.handle, fd, 0, 0) != 0:
            raise faults.helper_request_failed("libblkid cannot examine the device")
        self.lib.blkid_probe_enable_superblocks(self.handle, 1)
        self.lib.blkid_probe_set_superblocks_flags(self.handle, _SUBLKS)
        self.lib.blkid_probe_enable_partitions(self.handle, 1)
        self.lib.blkid_probe_set_partitions_flags(self.handle, _PARTS_MAGIC)

    def set_sector(self, size: int) -> None:
        if hasattr(self.lib, "blkid_probe_set_sectorsize"):  # since libblkid 2.30
            self.lib.blkid_probe_set_sectorsize.argtypes = [ctypes.c_void_p, ctypes.c_uint]
            self.lib.blkid_probe_set_sectorsize(self.handle, size)

    def value(self, name: str) -> str:
        data = ctypes.c_char_p()
        if self.lib.blkid_probe_lookup_value(self.handle, name.encode(), ctypes.byref(data), None) != 0:
            return ""
        return (data.value or b"").decode(errors="replace")

    def close(self) -> None:
        self.lib.blkid_free_probe(self.handle)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[_Probe]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        found = _Probe(fd)
        try:
            yield found
        finally:
            found.close()
        if flags & os.O_RDWR:
            os.fsync(fd)
    finally:
        os.close(fd)


def _walk(handle: _Probe, *, wipe: bool) -> Iterator[Signature]:
    for _ in range(_SIGNATURES_MAX):
        result = handle.lib.blkid_do_probe(handle.handle)
        if result == 1:  # nothing more
            return
        if result != 0:
            raise OSError(5, "libblkid could not read the device")
        if kind := handle.value("TYPE"):
            yield Signature(kind, handle.value("USAGE"), handle.value("LABEL"), handle.value("UUID"))
        elif table := handle.value("PTTYPE"):
            yield Signature(table, PARTITION_TABLE, "", handle.value("PTUUID"))
        if wipe and handle.lib.blkid_do_wipe(handle.handle, 0) != 0:
            raise OSError(5, "a signature could not be erased")
    raise faults.helper_request_failed(f"more than {_SIGNATURES_MAX} signatures on one device")


def _libblkid() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libblkid.so.1")
    except OSError as error:
        raise _missing() from error
    pointer = ctypes.c_void_p
    lib.blkid_new_probe.restype = pointer
    lib.blkid_probe_set_device.argtypes = [pointer, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    for name in ("blkid_probe_enable_superblocks", "blkid_probe_set_superblocks_flags"):
        getattr(lib, name).argtypes = [pointer, ctypes.c_int]
    for name in ("blkid_probe_enable_partitions", "blkid_probe_set_partitions_flags", "blkid_do_wipe"):
        getattr(lib, name).argtypes = [pointer, ctypes.c_int]
    lib.blkid_do_probe.argtypes = [pointer]
    lib.blkid_free_probe.argtypes = [pointer]
    lib.blkid_probe_lookup_value.argtypes = [pointer, ctypes.c_char_p, pointer, pointer]
    return lib


def _missing() -> Fault:
    return faults.missing_software("libblkid", "finding out what is on a device", "the package libblkid1")
