"""Whether SCM may be formatted: pure functions from what was found to a state, or a Fault.

The invariant (no format without intent): without force, a format only ever begins on storage that is blank, or on
storage whose format was begun before and not finished. Never, not even with force, on a device that something else
has in use.

| found | state |
|---|---|
| our file system at its mount point, no record of a format | MOUNTED |
| ext4 labelled `daos` on the device, not mounted | MOUNTABLE (Fault 106 where the mount point is gone) |
| a record of a format of exactly this, and nothing that it does not explain | INCOMPLETE |
| nothing | UNFORMATTED |
| anything else | FOREIGN |
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from daos_control.faults import storage as faults
from daos_control.storage.api import ScmState
from daos_control.storage.devices import Device
from daos_control.storage.journal import Journal
from daos_control.storage.mounts import Mount
from daos_control.storage.signatures import Signature

LABEL = "daos"
DEVICE_BYTES_MIN = 32 << 20
BLOCK_BYTES = 4096  # of the file system; a page, as DAX demands

_RAM_FILESYSTEMS = frozenset({"tmpfs", "ramfs"})


class Kind(Enum):
    """What is at the path of a mount point."""

    MISSING = "missing"
    DIRECTORY = "directory"
    LINK = "a symbolic link"
    OTHER = "not a directory"


@dataclass(frozen=True, slots=True)
class Target:
    """A mount point as found; `empty` says that the file system mounted there holds nothing."""

    path: Path
    kind: Kind
    mount: Mount | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, and in words what led to it (`found` is for Faults about what is there)."""

    state: ScmState
    found: str = field(default="")


def judge_ram(target: Target, journal: Journal | None) -> Verdict:
    """The state of a RAM disk. Raises Fault 105 for a mount point that cannot be one."""
    _check_target(target)
    if target.mount is None:
        return Verdict(ScmState.INCOMPLETE if journal else ScmState.UNFORMATTED)
    if target.mount.filesystem not in _RAM_FILESYSTEMS:
        return Verdict(ScmState.FOREIGN, str(target.mount))
    # An unforced format began where nothing was mounted: a RAM disk with content is not of that format.
    if journal and (target.empty or journal.forced):
        return Verdict(ScmState.INCOMPLETE)
    return Verdict(ScmState.MOUNTED)


def judge_device(target: Target, device: Device, journal: Journal | None) -> Verdict:
    """The state of a device of class dcpm. Raises Fault 105, or 106 where only the mount point is missing."""
    _check_target(target)
    if journal and journal.device != device.identity:
        journal = None  # about another device
    if target.mount is not None:
        if target.mount.number != device.number:
            return Verdict(ScmState.FOREIGN, f"{target.mount} at {target.path}")
        unfinished = journal is not None and any(s.uuid == journal.uuid for s in device.signatures)
        return Verdict(ScmState.INCOMPLETE if unfinished else ScmState.MOUNTED)
    if used := in_use(target, device):
        return Verdict(ScmState.FOREIGN, used)
    if journal and explained(device, journal):
        return Verdict(ScmState.INCOMPLETE)
    if not device.signatures:
        return Verdict(ScmState.UNFORMATTED)
    if len(device.signatures) == 1 and is_ours(device.signatures[0]):
        if target.kind is Kind.MISSING:
            raise faults.device_with_fs_no_mountpoint(str(device.path), str(target.path))
        return Verdict(ScmState.MOUNTABLE)
    return Verdict(ScmState.FOREIGN, ", ".join(str(signature) for signature in device.signatures))


def is_ours(signature: Signature) -> bool:
    """Whether a file system is one that DAOS, this or the reference, made for SCM."""
    return signature.kind == "ext4" and signature.label == LABEL


def explained(device: Device, journal: Journal) -> bool:
    """Whether all that is on a device was there when the recorded format began, or is what that format makes."""
    return journal.device == device.identity and all(
        signature in journal.before or (signature.kind == "ext4" and signature.uuid == journal.uuid)
        for signature in device.signatures
    )


def in_use(target: Target, device: Device) -> str:
    """Who uses the device, apart from the mount at its own mount point; empty where nobody does."""
    own = str(target.mount.path) if target.mount else ""
    elsewhere = [f"mounted at {path}" for path in device.mounted_at if path != own]
    return ", ".join([*elsewhere, *(f"used by {user}" for user in device.users)])


def check_ram_format(verdict: Verdict, target: Target, *, force: bool) -> None:
    """Raise the Fault that stands against a format of a RAM disk now."""
    _check_intent(verdict, str(target.path), force=force)


def check_device_format(
    verdict: Verdict, target: Target, device: Device, *, force: bool, allow_no_dax: bool
) -> None:
    """Raise the Fault that stands against a format of a device now, before anything is touched."""
    if used := in_use(target, device):
        raise faults.device_in_use(str(device.path), used)
    _check_intent(verdict, str(device.path), force=force)
    if device.read_only:
        raise faults.path_access_denied(str(device.path), "the device is read-only")
    if device.size_bytes < DEVICE_BYTES_MIN:
        raise faults.scm_device_too_small(str(device.path), device.size_bytes, DEVICE_BYTES_MIN)
    if device.block_bytes > BLOCK_BYTES:
        raise faults.scm_bad_block_size(str(device.path), device.block_bytes, BLOCK_BYTES)
    check_dax(device, allow_no_dax=allow_no_dax)


def check_dax(device: Device, *, allow_no_dax: bool) -> None:
    """Raise the Fault for a device that cannot be mounted with DAX, unless that is allowed."""
    if not device.dax and not allow_no_dax:
        raise faults.scm_no_dax(str(device.path))


def _check_intent(verdict: Verdict, what: str, *, force: bool) -> None:
    if force:
        return
    if verdict.state is ScmState.FOREIGN:
        raise faults.holds_foreign_data(what, verdict.found)
    if verdict.state in (ScmState.MOUNTED, ScmState.MOUNTABLE):
        raise faults.already_formatted(what)


def _check_target(target: Target) -> None:
    if not target.path.is_absolute() or len(target.path.parts) < 2:
        raise faults.scm_missing_mountpoint()
    if target.kind in (Kind.LINK, Kind.OTHER):
        raise faults.path_access_denied(str(target.path), f"the mount point is {target.kind.value}")
