"""The control metadata area of MD-on-SSD, as root (storage.md 6): a directory, or an ext4 device mounted there.

Below its root, `daos_control` has one directory for each engine. It is made whole under another name and then
renamed, so that it is either complete or absent.
"""

import os
import shutil
from pathlib import Path

from daos_control.faults import pbin
from daos_control.faults import storage as faults
from daos_control.storage import decisions, devices, journal, mounts, signatures
from daos_control.storage.devices import Device
from daos_control.storage.helper import mount_points
from daos_control.storage.helper.protocol import (
    MetadataFormat,
    MetadataMount,
    MetadataNeedsFormat,
    MetadataUnmount,
    MountReply,
)
from daos_control.storage.helper.steps import Step, run, run_program
from daos_control.storage.journal import Journal

FORMAT = "metadata_format"

_MODE = 0o775
_NETWORK_FILESYSTEMS = frozenset({"nfs", "nfs4"})


def mount_metadata(request: MetadataMount) -> MountReply:
    """Mount the area's device; without a device there is nothing to mount."""
    path = Path(request.root_path)
    if not request.device:
        return MountReply(request.root_path, mounted=False)
    device = _device(request.device)
    target = mount_points.inspect(path)
    if target.mount:
        if not devices.mounted_device(target.mount, device):
            raise faults.target_already_mounted(request.root_path, str(target.mount))
        return MountReply(request.root_path, mounted=True)
    if target.kind is not decisions.Kind.DIRECTORY:
        raise faults.device_with_fs_no_mountpoint(request.device, request.root_path)
    try:
        mounts.mount(os.fspath(device.path), path, "ext4", mounts.MS_NOATIME, "")
    except OSError as error:
        raise faults.mount_failed(request.device, request.root_path, error.strerror or str(error)) from error
    return MountReply(request.root_path, mounted=True)


def unmount_metadata(request: MetadataUnmount) -> MountReply:
    """Unmount; nothing to do where nothing is mounted, or the area has no device of its own."""
    if request.device:
        mount_points.clear(Path(request.root_path))
    return MountReply(request.root_path, mounted=False)


def needs_format(request: MetadataNeedsFormat) -> bool:
    """Whether the area is absent or incomplete. A device with a file system is mounted, and stays so."""
    root = Path(request.root_path)
    if not root.is_dir() or journal.read(root) is not None:
        return True
    if request.device:
        found = _device(request.device).signatures
        if [signature.kind for signature in found] != ["ext4"]:
            return True
        mount_metadata(MetadataMount(root_path=request.root_path, device=request.device))
    return not Path(request.data_path).is_dir()


def format_metadata(request: MetadataFormat) -> None:
    """Make the area anew. Of a device, only one that is blank or ours is formatted, unless forced."""
    root, data = Path(request.root_path), Path(request.data_path)
    if not root.is_absolute() or data.parent != root:
        raise faults.path_access_denied(request.data_path, f"it is not directly below {request.root_path}")
    target = mount_points.inspect(root)
    if target.kind in (decisions.Kind.LINK, decisions.Kind.OTHER):
        raise faults.path_access_denied(str(root), f"it is {target.kind.value}")
    if request.device:
        device = _device(request.device)
        _check_device(request, target, device)
        steps = device_steps(request, root, device)
    else:
        if data.exists() and not request.force:
            raise faults.already_formatted(f"the control metadata area {root}")
        _check_filesystem(root)
        steps = directory_steps(request, root)
    run(FORMAT, steps)


def directory_steps(request: MetadataFormat, root: Path) -> list[Step]:
    """An area without a device of its own."""
    return [
        Step("root", lambda: mount_points.make(root, request.owner_uid, request.owner_gid)),
        Step("data", lambda: _make_data(request, Path(request.data_path))),
        Step("complete", lambda: journal.remove(root)),
    ]


def device_steps(request: MetadataFormat, root: Path, device: Device) -> list[Step]:
    """An area on a device. Its label is kept: administrators name file systems in /etc/fstab by it."""
    label = next((signature.label for signature in device.signatures if signature.label), "")
    record = Journal(device.identity, journal.new_uuid(), request.force, device.signatures)
    return [
        Step("unmount", lambda: mount_points.clear(root)),
        Step("mount_point", lambda: mount_points.make(root, request.owner_uid, request.owner_gid)),
        Step("journal", lambda: journal.write(root, record)),
        Step("wipe", lambda: _wipe(device.path)),
        Step("mkfs", lambda: _mkfs(device.path, record.uuid, label)),
        Step("mount", lambda: _mount(request)),
        Step("data", lambda: _make_data(request, Path(request.data_path))),
        Step("complete", lambda: journal.remove(root)),
    ]


def _check_device(request: MetadataFormat, target: decisions.Target, device: Device) -> None:
    name = str(device.path)
    if used := decisions.in_use(target, device):
        raise faults.device_in_use(name, used)
    if target.mount and not devices.mounted_device(target.mount, device):
        raise faults.target_already_mounted(request.root_path, str(target.mount))
    if device.read_only:
        raise faults.path_access_denied(name, "the device is read-only")
    record = journal.read(Path(request.root_path))
    unfinished = record is not None and decisions.explained(device, record)
    if request.force or unfinished or not device.signatures:
        return
    if [signature.kind for signature in device.signatures] == ["ext4"] and _is_empty(request):
        return
    raise faults.holds_foreign_data(name, ", ".join(str(signature) for signature in device.signatures))


def _is_empty(request: MetadataFormat) -> bool:
    """Whether an ext4 file system holds nothing: administrators often prepare the device so."""
    root = Path(request.root_path)
    already = mounts.at(root) is not None
    if not already:
        mount_points.make(root, request.owner_uid, request.owner_gid)
        mount_metadata(MetadataMount(root_path=request.root_path, device=request.device))
    try:
        return all(name.startswith(".daos_control.") for name in mount_points.content(root))
    finally:
        if not already:
            mounts.unmount(root)


def _check_filesystem(root: Path) -> None:
    mount = mounts.holding(root)
    if mount is None:
        return
    if "nosuid" in mount.options:
        raise faults.metadata_bad_filesystem(str(root), f"a file system mounted with nosuid ({mount.path})")
    if mount.filesystem in _NETWORK_FILESYSTEMS:
        raise faults.metadata_bad_filesystem(str(root), f"a network file system ({mount.path})")


def _make_data(request: MetadataFormat, data: Path) -> None:
    fresh, old = data.with_name(f".{data.name}.new"), data.with_name(f".{data.name}.old")
    for leftover in (fresh, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    for directory in (fresh, *(fresh / f"engine{index}" for index in request.engine_idxs)):
        directory.mkdir(_MODE)
        os.chown(directory, request.owner_uid, request.owner_gid)
    if data.exists():
        data.rename(old)
    fresh.rename(data)
    os.sync()
    if old.exists():
        shutil.rmtree(old)


def _mount(request: MetadataFormat) -> None:
    mount_metadata(MetadataMount(root_path=request.root_path, device=request.device))
    os.chown(request.root_path, request.owner_uid, request.owner_gid)


def _wipe(device: Path) -> None:
    try:
        signatures.wipe(device)
    except OSError as error:
        raise faults.format_failed(os.fspath(device), f"erasing old signatures: {error}") from error


def _mkfs(device: Path, uuid: str, label: str) -> None:
    command = ["mkfs.ext4", "-F", "-q", *(["-L", label] if label else []), "-U", uuid, os.fspath(device)]
    try:
        run_program(command, operation=FORMAT, step="mkfs")
    except FileNotFoundError as error:
        raise pbin.missing_software("mkfs.ext4", "control_metadata.device", "the package e2fsprogs") from error
    except OSError as error:
        raise faults.format_failed(os.fspath(device), error.strerror or str(error)) from error


def _device(name: str) -> Device:
    try:
        return devices.inspect(Path(name))
    except FileNotFoundError as error:
        raise faults.scm_missing_device(name) from error
    except devices.NotABlockDeviceError as error:
        raise faults.scm_not_block_device(name) from error
    except OSError as error:
        raise faults.path_access_denied(name, error.strerror or str(error)) from error
