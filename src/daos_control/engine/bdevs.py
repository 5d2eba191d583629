"""The block devices of the engine's SPDK configuration file: files and kernel devices, by role.

The embedded engine has no NVMe driver: a configuration with NVMe controllers is refused at start.
"""

import ctypes
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Any

from daos_control.engine import files
from daos_control.engine.bdev_extents import CLUSTER_BYTES, Extent, ExtentMap
from daos_control.engine.errors import StartError

_FALLOC_FL_KEEP_SIZE = 0x01
_FALLOC_FL_PUNCH_HOLE = 0x02


class Role(IntFlag):
    """What a device holds, numbered as in device names and on the wire. Without roles a device holds data."""

    NONE = 0
    DATA = 1
    META = 2
    WAL = 4


@dataclass(frozen=True, slots=True)
class BdevConfig:
    """One device as the configuration names it: `AIO_<host>_<index>_<tier>_<role bits>`."""

    name: str
    path: Path
    role: Role

    @property
    def holds_data(self) -> bool:
        return self.role is Role.NONE or bool(self.role & Role.DATA)


def parse_config(document: Any) -> tuple[BdevConfig, ...]:
    """The devices of a parsed daos_nvme.conf, in its order. Raises StartError for what cannot be served."""
    try:
        subsystems = document["subsystems"]
        calls = [call for part in subsystems if part["subsystem"] == "bdev" for call in part["config"]]
        devices: list[BdevConfig] = []
        for call in calls:
            if call["method"] == "bdev_nvme_attach_controller":
                raise StartError(
                    f"block device {call['params']['name']} is an NVMe controller: "
                    "the embedded engine serves bdev_class file and kdev only"
                )
            if call["method"] == "bdev_aio_create":
                name = str(call["params"]["name"])
                devices.append(BdevConfig(name, Path(call["params"]["filename"]), _role_of(name)))
    except (KeyError, TypeError) as error:
        raise StartError(f"SPDK configuration has no {error} where one is due") from error
    return tuple(devices)


def _role_of(name: str) -> Role:
    bits = name.rpartition("_")[2]
    if not bits.isdigit() or int(bits) > 7:
        raise StartError(f"block device name {name!r} does not end with its role bits")
    return Role(int(bits))


class Bdev:
    """An opened device: its identity, its clusters, and its space on the file system below it."""

    def __init__(self, config: BdevConfig, uuid: str) -> None:
        """Raises StartError where the file is missing or cannot be opened."""
        self.config = config
        self.uuid = uuid
        try:
            self._descriptor = os.open(config.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StartError(f"block device {config.path}: {error.strerror}") from error
        found = os.fstat(self._descriptor)
        self._is_file = stat.S_ISREG(found.st_mode)
        self.size_bytes = found.st_size if self._is_file else os.lseek(self._descriptor, 0, os.SEEK_END)
        # A file that was made with holes gets its holes back; one that was fully allocated keeps its space.
        self._is_sparse = self._is_file and found.st_blocks * 512 < found.st_size
        self.extents = ExtentMap(self.size_bytes // CLUSTER_BYTES)

    def take(self, extents: Iterable[Extent]) -> None:
        """Take the space of allocated clusters for good. Raises OSError (ENOSPC)."""
        if self._is_file:
            for extent in extents:
                os.posix_fallocate(self._descriptor, extent.offset_bytes, extent.length_bytes)
            os.fsync(self._descriptor)

    def give_back(self, extents: Iterable[Extent]) -> None:
        """Undo `take` as far as the device is a sparse file. Raises OSError."""
        if self._is_sparse:
            for extent in extents:
                _punch_hole(self._descriptor, extent.offset_bytes, extent.length_bytes)

    def close(self) -> None:
        os.close(self._descriptor)


def _punch_hole(descriptor: int, offset: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    if libc.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def open_devices(config_path: Path, identities: dict[str, str]) -> list[Bdev]:
    """Open the devices of a configuration file; `identities` gives each name's uuid. Raises StartError."""
    return [Bdev(config, identities[config.name]) for config in read_config(config_path)]


def read_config(path: Path) -> tuple[BdevConfig, ...]:
    """Raises StartError where the file cannot be read or understood."""
    try:
        return parse_config(files.read_json(path))
    except OSError as error:
        raise StartError(f"SPDK configuration {path}: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"SPDK configuration {path} is damaged: {error}") from error


def device_of_target(devices: Sequence[Bdev], target: int) -> Bdev:
    """Targets share the devices of a role in turn, as in DAOS's engine."""
    return devices[target % len(devices)]
