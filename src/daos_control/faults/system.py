"""Faults of the system as a whole: its members, its pools' locks, and the database that records them."""

from pathlib import Path
from typing import Final

from daos_control.faults.code import Code
from daos_control.faults.core import Fault


def _fault(code: Code, description: str, resolution: str) -> Fault:
    return Fault("system", code, description, resolution)


def bad_fault_domain_depth(domain: str, levels: int) -> Fault:
    """`levels` is the depth that all members of the system have."""
    return _fault(
        Code.SYSTEM_BAD_FAULT_DOMAIN_DEPTH,
        f"cannot join with fault domain {domain}: the fault domains of this system have {levels} level(s)",
        f"set fault_path in that server's configuration to a path of {levels} level(s) and restart daos_server",
    )


def pool_locked(uuid: str, operation: str) -> Fault:
    """`operation` is what holds the lock now."""
    return _fault(
        Code.SYSTEM_POOL_LOCKED,
        f"pool {uuid} is locked: {operation} is still running on it",
        "retry the operation when the other one has ended",
    )


def replaced_rank_not_found(mismatches: int) -> Fault:
    """`mismatches` is in how many fields the nearest member differs from the engine that wants its rank."""
    if mismatches > 1:
        resolution = "run dmg storage format without --replace: the engine gets a rank of its own"
    else:
        resolution = "run dmg storage format --replace only on a host whose engine had a rank before, unchanged"
    return _fault(
        Code.SYSTEM_JOIN_REPLACE_RANK_NOT_FOUND,
        "no member of the system has the addresses and the fault domain of the engine that is to replace one",
        resolution,
    )


class StoreError(Fault):
    """The system database cannot be read or written; `errno` is the operating system's number where it gave one."""

    def __init__(self, path: Path, description: str, resolution: str, errno: int | None = None) -> None:
        super().__init__("system", Code.SYSTEM_UNKNOWN, description, resolution)
        self.path: Final = path
        self.errno: Final = errno


class UnusableDatabaseError(StoreError):
    """The file is no database of this system's: foreign, damaged, or of a newer version. Retrying cannot help."""


def database_failed(path: Path, doing: str, reason: str, errno: int | None = None) -> StoreError:
    """`doing` is what failed: "open", "read", "write"."""
    return StoreError(
        path,
        f"cannot {doing} the system database {path}: {reason}",
        f"check the free space, the health and the permissions of the file system that holds {path.parent}",
        errno,
    )


def database_damaged(path: Path, reason: str) -> UnusableDatabaseError:
    return UnusableDatabaseError(
        path,
        f"the system database {path} is damaged: {reason}",
        "restore the file from a backup; do not format storage, which would lose the system's members and pools",
    )


def database_foreign(path: Path) -> UnusableDatabaseError:
    return UnusableDatabaseError(
        path,
        f"{path} is not a system database of daos_server",
        "move the file away, or correct the path of the control metadata in daos_server.yml, and start again",
    )


def database_newer(path: Path, found: int, known: int) -> UnusableDatabaseError:
    return UnusableDatabaseError(
        path,
        f"the system database {path} has format {found}; this daos_server knows formats up to {known}",
        "start the version of daos_server that wrote the file, or a newer one",
    )
