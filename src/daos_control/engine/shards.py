"""Shards: an engine's part of each pool. Target files and block-device extents: made, found again, removed."""

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from daos_control.engine import files
from daos_control.engine.bdev_extents import CLUSTER_BYTES, Extent, NoSpaceError
from daos_control.engine.bdevs import Bdev, device_of_target
from daos_control.engine.errors import from_os_error
from daos_control.engine.log import facility
from daos_control.engine.storage import NEWBORNS, ZOMBIES, Storage
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

PAGE_BYTES = 4096
_SHARD_FILE = "shard.json"
_MAGIC = b"DAOSEMBV"

_log = facility("storage")


class ShardState(StrEnum):
    """PREPARED: its pool is still being made and may yet be given up. LIVE: the pool exists."""

    PREPARED = "prepared"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """What a pool asks of one rank. Sizes are bytes of the whole rank and are shared among its targets.

    `attempt` names the try to create the pool, `service_ranks` the ranks that decide whether it exists,
    `coordinator` the rank that creates it. `meta_bytes` is used only with metadata on SSD.
    """

    uuid: str
    scm_bytes: int
    nvme_bytes: int
    meta_bytes: int
    attempt: str
    coordinator: int
    service_ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Extents of one target on one device (its uuid)."""

    device: str
    extents: tuple[Extent, ...]

    @property
    def size_bytes(self) -> int:
        return sum(extent.length_bytes for extent in self.extents)


@dataclass(frozen=True, slots=True)
class Shard:
    """One engine's part of a pool, as recorded. `data` and `meta` have a piece per target, or none at all."""

    spec: ShardSpec
    state: ShardState
    targets: int
    file_bytes: int
    data: tuple[Piece, ...] = ()
    meta: tuple[Piece, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Shard":
        """Raises KeyError, TypeError or ValueError where the record is damaged."""
        spec = dict(value["spec"])
        spec["service_ranks"] = tuple(spec["service_ranks"])
        return cls(
            spec=ShardSpec(**spec),
            state=ShardState(value["state"]),
            targets=int(value["targets"]),
            file_bytes=int(value["file_bytes"]),
            data=_pieces(value["data"]),
            meta=_pieces(value["meta"]),
        )


def _pieces(values: list[dict[str, Any]]) -> tuple[Piece, ...]:
    return tuple(Piece(piece["device"], tuple(Extent(**extent) for extent in piece["extents"])) for piece in values)


@dataclass(frozen=True, slots=True)
class TargetUsage:
    """Space of one target in bytes: its file (memory tier) and its extents (SSD tier)."""

    scm_total: int
    scm_free: int
    nvme_total: int
    nvme_free: int
    file_bytes: int


class ShardStore:
    """The shards on one engine's storage. Synchronous and blocking; safe to call from several threads.

    A shard exists when its record stands in its final place, and then all its space is taken: everything is made
    in NEWBORNS first. Whoever calls must not run two changes of one pool at once.
    """

    def __init__(self, storage: Storage, targets: int) -> None:
        self._storage = storage
        self._targets = targets
        self._lock = threading.RLock()
        self._shards: dict[str, Shard] = {}
        self._devices = {device.uuid: device for device in storage.devices}

    @property
    def md_on_ssd(self) -> bool:
        return bool(self._storage.meta_devices())

    def load(self) -> None:
        """Find the shards of earlier runs; one that cannot be served is logged and left as it is."""
        for uuid in self._storage.pools_on(self._storage.records):
            path = self._storage.record_directory(uuid) / _SHARD_FILE
            try:
                shard = Shard.from_json(files.read_json(path))
            except FileNotFoundError:
                _log.warning("%s is no pool of this engine: left alone", path.parent)
                continue
            except (OSError, KeyError, TypeError, ValueError) as error:
                _log.error("pool %s cannot be served, its record %s is damaged: %s", uuid, path, error)
                continue
            try:
                self._reserve(shard)
                self._restore_files(shard)
            except (OSError, ValueError, DaosError) as error:
                _log.error("pool %s cannot be served: %s", uuid, error)
                continue
            self._shards[uuid] = shard
        if self._storage.is_split:
            self._drop_orphaned_files()

    def _reserve(self, shard: Shard) -> None:
        pieces = (*shard.data, *shard.meta)
        # What is there is reserved even if the rest is not: nobody else may take it.
        for piece in pieces:
            if piece.device in self._devices:
                for extent in piece.extents:
                    self._devices[piece.device].extents.reserve(extent)
        for piece in pieces:
            if piece.device not in self._devices:
                raise ValueError(f"its block device {piece.device} is not configured any more")

    def _restore_files(self, shard: Shard) -> None:
        """Target files in memory are gone after a restart of the host: made again from the record."""
        directory = self._storage.pool_directory(shard.spec.uuid)
        missing = [n for n in range(shard.targets) if not (directory / f"vos-{n}").exists()]
        if not missing:
            return
        if not self._storage.is_split:
            raise ValueError(f"{directory / f'vos-{missing[0]}'} is missing")
        files.remove_tree(directory)
        self._make_files(shard.spec.uuid, shard.targets, shard.file_bytes)
        files.move_durably(self._storage.root / NEWBORNS / shard.spec.uuid, directory)

    def _drop_orphaned_files(self) -> None:
        for uuid in self._storage.pools_on(self._storage.root):
            if not self._storage.record_directory(uuid).exists():
                files.remove_tree(self._storage.pool_directory(uuid))

    def get(self, uuid: str) -> Shard | None:
        return self._shards.get(uuid)

    def all(self) -> list[Shard]:
        return [self._shards[uuid] for uuid in sorted(self._shards)]

    def create(self, spec: ShardSpec) -> Shard:
        """Make a shard, PREPARED. Raises DaosError: NOSPACE, INVAL, EXIST where the pool is here with other sizes.

        Asked again for a pool that is here with the same sizes, it only takes over the new attempt.
        """
        found = self._shards.get(spec.uuid)
        if found is not None:
            return self._adopt(found, spec)
        if self._storage.pool_directory(spec.uuid).exists():
            raise DaosError(Status.EXIST, f"a directory {spec.uuid} is in the way")
        file_bytes = spec.scm_bytes // self._targets // PAGE_BYTES * PAGE_BYTES
        if file_bytes < PAGE_BYTES:
            raise DaosError(Status.INVAL, f"{spec.scm_bytes} bytes are too few for {self._targets} targets")
        shard = self._allocate(spec, file_bytes)
        try:
            self._build(shard)
        except OSError as error:
            self._give_up(shard)
            raise from_os_error(error) from error
        except BaseException:
            self._give_up(shard)
            raise
        self._shards[spec.uuid] = shard
        return shard

    def _adopt(self, found: Shard, spec: ShardSpec) -> Shard:
        same = (found.spec.scm_bytes, found.spec.nvme_bytes, found.spec.meta_bytes)
        if same != (spec.scm_bytes, spec.nvme_bytes, spec.meta_bytes) or found.state is ShardState.LIVE:
            raise DaosError(Status.EXIST, f"pool {spec.uuid} is here already")
        return self._record(replace(found, spec=spec))

    def _allocate(self, spec: ShardSpec, file_bytes: int) -> Shard:
        if not self._storage.can_hold(file_bytes * self._targets):
            raise DaosError(Status.NOSPACE, f"{spec.scm_bytes} bytes do not fit into {self._storage.root}")
        meta_bytes = spec.meta_bytes if self.md_on_ssd else 0
        taken: list[Piece] = []
        with self._lock:
            try:
                data = self._take(self._storage.data_devices(), spec.nvme_bytes, taken)
                meta = self._take(self._storage.meta_devices(), meta_bytes, taken)
            except NoSpaceError as error:
                self._release(taken)
                raise DaosError(Status.NOSPACE, str(error)) from error
            except BaseException:
                self._release(taken)
                raise
        return Shard(spec, ShardState.PREPARED, self._targets, file_bytes, data, meta)

    def _take(self, devices: list[Bdev], size_bytes: int, taken: list[Piece]) -> tuple[Piece, ...]:
        if size_bytes == 0:
            return ()
        if not devices:
            raise NoSpaceError("this engine has no block devices for it")
        clusters = size_bytes // self._targets // CLUSTER_BYTES
        if clusters == 0:
            raise DaosError(Status.INVAL, f"{size_bytes} bytes are too few for {self._targets} targets")
        pieces: list[Piece] = []
        for target in range(self._targets):
            device = device_of_target(devices, target)
            pieces.append(Piece(device.uuid, device.extents.allocate(clusters)))
            taken.append(pieces[-1])
        return tuple(pieces)

    def _build(self, shard: Shard) -> None:
        uuid = shard.spec.uuid
        for piece in (*shard.data, *shard.meta):
            self._devices[piece.device].take(piece.extents)
        files.crash_point("extents-taken")
        newborn = self._make_files(uuid, shard.targets, shard.file_bytes)
        if self._storage.is_split:
            files.move_durably(newborn, self._storage.pool_directory(uuid))
            newborn = self._storage.records / NEWBORNS / uuid
            files.make_directory(newborn)
        files.write_json(newborn / _SHARD_FILE, shard.to_json())
        files.crash_point("shard-staged")
        files.move_durably(newborn, self._storage.record_directory(uuid))
        files.crash_point("shard-made")

    def _make_files(self, uuid: str, targets: int, file_bytes: int) -> Path:
        newborn = self._storage.root / NEWBORNS / uuid
        files.remove_tree(newborn)
        files.make_directory(newborn)
        files.crash_point("newborn-made")
        for target in range(targets):
            head = _MAGIC + uuid.encode() + target.to_bytes(4, "little") + file_bytes.to_bytes(8, "little")
            files.allocate_file(newborn / f"vos-{target}", file_bytes, head.ljust(PAGE_BYTES, b"\0"))
        files.sync_directory(newborn)
        files.crash_point("targets-allocated")
        return newborn

    def _give_up(self, shard: Shard) -> None:
        uuid = shard.spec.uuid
        try:
            for tree in self._storage.trees:
                files.remove_tree(tree / NEWBORNS / uuid)
                files.remove_tree(tree / uuid)
        finally:
            self._release((*shard.data, *shard.meta))

    def _release(self, pieces: Iterable[Piece]) -> None:
        with self._lock:
            for piece in pieces:
                device = self._devices[piece.device]
                try:
                    device.give_back(piece.extents)
                except OSError as error:
                    _log.warning("space of %s is not given back to its file system: %s", device.config.path, error)
                device.extents.release(piece.extents)

    def commit(self, uuid: str) -> None:
        """The pool exists: its shard is LIVE. Raises DaosError NONEXIST."""
        shard = self._shards.get(uuid)
        if shard is None:
            raise DaosError(Status.NONEXIST, f"no shard of pool {uuid}")
        if shard.state is not ShardState.LIVE:
            self._record(replace(shard, state=ShardState.LIVE))

    def _record(self, shard: Shard) -> Shard:
        try:
            files.write_json(self._storage.record_directory(shard.spec.uuid) / _SHARD_FILE, shard.to_json())
        except OSError as error:
            raise from_os_error(error) from error
        self._shards[shard.spec.uuid] = shard
        return shard

    def destroy(self, uuid: str) -> bool:
        """Remove a shard; False where there was none. Its name goes first, then its space. Raises DaosError."""
        shard = self._shards.get(uuid)
        if shard is None:
            return False
        try:
            for tree in reversed(self._storage.trees):
                if (tree / uuid).exists():
                    files.remove_tree(tree / ZOMBIES / uuid)
                    files.move_durably(tree / uuid, tree / ZOMBIES / uuid)
                    files.crash_point("shard-renamed-away")
            del self._shards[uuid]
            for tree in self._storage.trees:
                files.remove_tree(tree / ZOMBIES / uuid)
        except OSError as error:
            raise from_os_error(error) from error
        finally:
            if uuid not in self._shards:
                self._release((*shard.data, *shard.meta))
        return True

    def usage(self, uuid: str) -> list[TargetUsage]:
        """Space of each target, looked up on the storage itself. Raises DaosError NONEXIST, IO."""
        shard = self._shards.get(uuid)
        if shard is None:
            raise DaosError(Status.NONEXIST, f"no shard of pool {uuid}")
        found: list[TargetUsage] = []
        for target in range(shard.targets):
            try:
                size = (self._storage.pool_directory(uuid) / f"vos-{target}").stat().st_size
            except OSError as error:
                raise from_os_error(error) from error
            data = shard.data[target].size_bytes if shard.data else 0
            # With metadata on SSD the first tier is the space on the meta device; the file only mirrors it.
            scm = shard.meta[target].size_bytes if shard.meta else size
            found.append(TargetUsage(scm, scm - PAGE_BYTES, data, data, size))
        return found
