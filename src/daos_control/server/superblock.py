"""The superblock: the small file by which an engine's storage knows who it is.

Format and place are DAOS's own (YAML, keys in lower case), so that storage moves between both control planes.
"""

import contextlib
import os
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from daos_control.server import problems
from daos_control.system.member import MAX_RANK

FORMAT_VERSION = 1
_FILE_MODE = 0o660
_SIZE_MAX = 64 * 1024  # bytes; a real one has some 200


@dataclass(frozen=True, slots=True)
class Superblock:
    """Identity of one engine.

    `rank` is None before the first join; with `rank_is_valid` false it is only what was asked for. `uri` is the
    fabric address at the last join, `incarnation` the engine's last start stamp.
    """

    uuid: str
    system: str
    rank: int | None = None
    uri: str = ""
    rank_is_valid: bool = False
    fault_domain: str = ""
    incarnation: int = 0

    @classmethod
    def new(cls, system: str, fault_domain: str) -> Self:
        """One for storage that was just formatted."""
        return cls(uuid=str(uuids.uuid4()), system=system, fault_domain=fault_domain)

    @property
    def member_rank(self) -> int | None:
        """The rank, once the system has given one."""
        return self.rank if self.rank_is_valid else None

    def to_yaml(self) -> str:
        return yaml.safe_dump(
            {
                "version": FORMAT_VERSION,
                "uuid": self.uuid,
                "system": self.system,
                "rank": self.rank,
                "uri": self.uri,
                "validrank": self.rank_is_valid,
                "hostfaultdomain": self.fault_domain,
                "incarnation": self.incarnation,
            },
            sort_keys=False,
            width=4096,  # one line per key, as DAOS's own writer does
        )

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Raises ValueError, with what is wrong, unless every key is there and holds what it must."""
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError("it is no YAML") from error
        if not isinstance(data, dict):
            raise ValueError("it has no keys")
        version = _take(data, "version", int)
        if version != FORMAT_VERSION:
            raise ValueError(f"it has format version {version}, this server knows {FORMAT_VERSION}")
        identity = _take(data, "uuid", str)
        try:
            uuids.UUID(identity)
        except ValueError:
            raise ValueError(f"uuid {identity!r} is no UUID") from None
        rank = data.pop("rank", None)
        if rank is not None and not (type(rank) is int and 0 <= rank <= MAX_RANK):
            raise ValueError(f"rank {rank!r} is no rank")
        rank_is_valid = _take(data, "validrank", bool)
        if rank_is_valid and rank is None:
            raise ValueError("it claims a valid rank and has none")
        incarnation = _take(data, "incarnation", int, default=0)
        if not 0 <= incarnation < 1 << 64:
            raise ValueError(f"incarnation {incarnation} is out of range")
        found = cls(
            uuid=identity,
            system=_take(data, "system", str),
            rank=rank,
            uri=_take(data, "uri", str, default=""),
            rank_is_valid=rank_is_valid,
            fault_domain=_take(data, "hostfaultdomain", str, default=""),
            incarnation=incarnation,
        )
        if data:
            raise ValueError("it has unknown keys: " + ", ".join(sorted(map(str, data))))
        return found


def _take(data: dict[Any, Any], key: str, kind: type, *, default: Any = None) -> Any:
    value = data.pop(key, default)
    if value is None:
        raise ValueError(f"it has no {key}")
    if type(value) is not kind:
        raise ValueError(f"{key} is {value!r}")
    return value


def read(path: Path) -> Superblock | None:
    """The superblock at `path`; None where there is none. Raises the Fault of a damaged one."""
    try:
        with path.open("rb") as file:
            raw = file.read(_SIZE_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise problems.corrupt_superblock(path, error.strerror or str(error)) from error
    if len(raw) > _SIZE_MAX:
        raise problems.corrupt_superblock(path, f"it is larger than {_SIZE_MAX} bytes")
    try:
        return Superblock.from_yaml(raw.decode())
    except ValueError as error:
        raise problems.corrupt_superblock(path, str(error)) from error


def write(path: Path, superblock: Superblock) -> None:
    """Put it at `path`, durably and all or nothing: a crash leaves the old one or the new one."""
    staging = path.with_name(path.name + ".staging")
    try:
        with staging.open("wb") as file:
            os.fchmod(file.fileno(), _FILE_MODE)
            file.write(superblock.to_yaml().encode())
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            staging.unlink(missing_ok=True)
        raise problems.superblock_not_written(path, error.strerror or str(error)) from error


def remove(path: Path) -> None:
    """Forget the identity; nothing to do where there is none."""
    path.with_name(path.name + ".staging").unlink(missing_ok=True)
    try:
        path.unlink()
    except FileNotFoundError:
        return
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
