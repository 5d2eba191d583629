"""The engine's storage directory: its layout, the lock on it, and what is swept away at start.

Layout of the storage directory (`-s`), shaped as DAOS's engine has it:

    <pool uuid>/vos-<n>        one file per target
    NEWBORNS/<pool uuid>/      a pool being made: becomes <pool uuid> by a rename, or is swept at the next start
    ZOMBIES/<pool uuid>/       a pool being removed: its name is gone already, its space follows
    daos_sys/engine.json       our format and the incarnation of the last start
    daos_sys/devices.json      uuids of the block devices by name

Beside the target files, a pool's directory holds `shard.json` (this engine's part of the pool), `service.json`
(on ranks of the pool's service) and `containers/`. With metadata on SSD the storage directory is made anew at every
start; then records live under the directory of the SPDK configuration file, in `embedded_engine/`, with the same
layout and without the target files.
"""

import fcntl
import os
import re
import shutil
import time
import uuid as uuids
from pathlib import Path
from typing import Any

from daos_control.engine import files
from daos_control.engine.bdevs import Bdev, BdevConfig, Role, open_devices, read_config
from daos_control.engine.errors import StartError
from daos_control.engine.incarnation import next_incarnation
from daos_control.engine.log import facility

FORMAT = 1
NEWBORNS = "NEWBORNS"
ZOMBIES = "ZOMBIES"
_SYSTEM = "daos_sys"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_log = facility("storage")


def is_uuid(text: str) -> bool:
    """Whether `text` is a uuid in its canonical, lower-case form."""
    return _UUID.fullmatch(text) is not None


class Storage:
    """Owns the storage directory while the engine runs. Synchronous; call it from one thread at a time."""

    def __init__(self, root: Path, records: Path, configs: tuple[BdevConfig, ...]) -> None:
        self.root = root
        self.records = records
        self._configs = configs
        self._lock: int | None = None
        self.devices: list[Bdev] = []
        self.incarnation = 0
        self.in_memory = False

    @property
    def is_split(self) -> bool:
        """Whether records live apart from target files (metadata on SSD)."""
        return self.records != self.root

    @property
    def trees(self) -> tuple[Path, ...]:
        return (self.root, self.records) if self.is_split else (self.root,)

    @classmethod
    def open(cls, root: Path, nvme_config: Path | None) -> "Storage":
        """Lock, sweep, and open everything. Raises StartError with the reason."""
        configs = read_config(nvme_config) if nvme_config is not None else ()
        on_ssd = nvme_config is not None and any(config.role & Role.META for config in configs)
        records = nvme_config.absolute().parent / "embedded_engine" if on_ssd and nvme_config is not None else root
        storage = cls(root, records, configs)
        try:
            storage._open(nvme_config)
        except OSError as error:
            storage.close()
            raise StartError(f"storage directory {error.filename or root}: {error.strerror}") from error
        except BaseException:
            storage.close()
            raise
        return storage

    def close(self) -> None:
        for device in self.devices:
            device.close()
        self.devices.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self, nvme_config: Path | None) -> None:
        if not self.root.is_dir():
            raise StartError(f"storage directory {self.root} is missing")
        self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(f"storage directory {self.root} is in use by another engine") from error
        if (self.root / _SYSTEM / "sys_db").exists():
            raise StartError(
                f"storage directory {self.root} holds data of DAOS's own engine: "
                "format it before the embedded one uses it"
            )
        self.in_memory = files.is_memory_file_system(self.root)
        if self.is_split:
            files.make_directory(self.records)
        for tree in self.trees:
            files.make_directory(tree / _SYSTEM)
            for name in (NEWBORNS, ZOMBIES):
                self._sweep(tree / name)
        self._count_start()
        if nvme_config is not None:
            self.devices = open_devices(nvme_config, self._identities())

    def _sweep(self, directory: Path) -> None:
        files.make_directory(directory)
        for leftover in directory.iterdir():
            _log.info("removing %s, left behind by an earlier run", leftover)
            files.remove_tree(leftover)

    def _count_start(self) -> None:
        path = self.records / _SYSTEM / "engine.json"
        known = self._read(path, {"format": FORMAT, "incarnation": 0})
        if known.get("format") != FORMAT:
            raise StartError(f"{path} has format {known.get('format')}, this engine knows {FORMAT}")
        self.incarnation = next_incarnation(time.time_ns(), int(known["incarnation"]))
        files.write_json(path, {"format": FORMAT, "incarnation": self.incarnation})

    def _identities(self) -> dict[str, str]:
        path = self.records / _SYSTEM / "devices.json"
        known: dict[str, str] = self._read(path, {})
        missing = [config.name for config in self._configs if config.name not in known]
        if missing:
            known |= {name: str(uuids.uuid4()) for name in missing}
            files.write_json(path, known)
        return known

    @staticmethod
    def _read(path: Path, default: dict[str, Any]) -> dict[str, Any]:
        try:
            found = files.read_json(path)
        except FileNotFoundError:
            return default
        except ValueError as error:
            raise StartError(f"{path} is damaged: {error}") from error
        if not isinstance(found, dict):
            raise StartError(f"{path} is damaged: not an object")
        return found

    def data_devices(self) -> list[Bdev]:
        return [device for device in self.devices if device.config.holds_data]

    def meta_devices(self) -> list[Bdev]:
        return [device for device in self.devices if device.config.role & Role.META]

    def pool_directory(self, uuid: str) -> Path:
        """Where the pool's target files are."""
        return self.root / uuid

    def record_directory(self, uuid: str) -> Path:
        """Where the pool's records are."""
        return self.records / uuid

    def pools_on(self, tree: Path) -> list[str]:
        return sorted(path.name for path in tree.iterdir() if is_uuid(path.name) and path.is_dir())

    def can_hold(self, size_bytes: int) -> bool:
        """Whether target files of this size can be tried at all; asked first, so that a vain try fills nothing."""
        if self.in_memory and size_bytes > files.available_memory_bytes():
            return False
        return size_bytes <= shutil.disk_usage(self.root).free
