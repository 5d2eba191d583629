"""SCM: mount, unmount, check and format, as root.

The steps of a format stand in `ram_steps` and `device_steps`. Up to `journal` nothing is destroyed; from there on a
format that is cut off is known as incomplete, until `complete` takes the record away (`storage/journal.py`).
"""

import os
from pathlib import Path

from daos_control.faults import pbin
from daos_control.faults import storage as faults
from daos_control.storage import decisions, devices, journal, mounts, signatures
from daos_control.storage.api import ScmState
from daos_control.storage.decisions import Target, Verdict
from daos_control.storage.devices import Device
from daos_control.storage.helper import mount_points
from daos_control.storage.helper.protocol import (
    Dcpm,
    MountReply,
    Ramdisk,
    ScmFormat,
    ScmFormatReply,
    ScmMount,
    ScmUnmount,
)
from daos_control.storage.helper.steps import Step, run, run_program
from daos_control.storage.journal import Journal

FORMAT = "scm_format"

# The reference's options for ext4 on persistent memory (storage.md 5): 4 KiB blocks in aligned groups as large as
# can be, so that huge mappings succeed; few and small inodes; nothing reserved; everything initialised at once.
MKFS_OPTIONS = (
    *("-q", "-D", "-L", decisions.LABEL, "-m", "0", "-b", "4096", "-I", "128", "-i", "67108864"),
    *("-E", "stride=512,lazy_itable_init=0,lazy_journal_init=0,nodiscard,packed_meta_blocks=1"),
    *("-O", "flex_bg,^uninit_bg,^resize_inode,^extra_isize,sparse_super2,^metadata_csum"),
    *("-G", "128"),
)


def check_format(request: ScmFormat) -> ScmFormatReply:
    """What is there now; changes nothing."""
    target, _, verdict = _judge(request)
    return _reply(target.path, verdict)


def format_scm(request: ScmFormat) -> ScmFormatReply:
    """Make the file system and mount it, unless something stands against it; then nothing is touched."""
    target, device, verdict = _judge(request, tolerate_missing_mount_point=request.force)
    if device is None:
        assert request.ramdisk is not None
        if request.ramdisk.size <= 0:
            raise faults.scm_invalid_size(request.mountpoint)
        decisions.check_ram_format(verdict, target, force=request.force)
        steps = ram_steps(request, target.path)
    else:
        assert request.dcpm is not None
        decisions.check_device_format(
            verdict, target, device, force=request.force, allow_no_dax=request.dcpm.allow_no_dax
        )
        steps = device_steps(request, target.path, device)
    run(FORMAT, steps)
    return _reply(target.path, Verdict(ScmState.MOUNTED))


def ram_steps(request: ScmFormat, path: Path) -> list[Step]:
    """A RAM disk is new with each mount: what is destroyed is what an unmount lets go of."""
    ramdisk = request.ramdisk or Ramdisk(0)
    uid, gid = request.owner_uid, request.owner_gid
    return [
        Step("mount_point", lambda: mount_points.make(path, uid, gid)),
        Step("journal", lambda: journal.write(path, Journal(forced=request.force))),
        Step("unmount", lambda: mount_points.clear(path)),
        Step("mount", lambda: mount_points.mount_ramdisk(path, ramdisk)),
        Step("hand_over", lambda: mount_points.hand_over(path, uid, gid)),
        Step("complete", lambda: journal.remove(path)),
    ]


def device_steps(request: ScmFormat, path: Path, device: Device) -> list[Step]:
    """The file system's UUID is chosen and recorded beforehand, so that ours is known again after a cut-off."""
    dcpm = request.dcpm or Dcpm("")
    uid, gid = request.owner_uid, request.owner_gid
    record = Journal(device.identity, journal.new_uuid(), request.force, device.signatures)
    return [
        Step("unmount", lambda: mount_points.clear(path)),
        Step("mount_point", lambda: mount_points.make(path, uid, gid)),
        Step("claim", lambda: _claim(path, device, record.uuid, request.force)),
        Step("journal", lambda: journal.write(path, record)),
        Step("wipe", lambda: _wipe(device.path)),
        Step("mkfs", lambda: _mkfs(device.path, record.uuid, request.force)),
        Step(
            "mount", lambda: mount_points.mount_device(path, device.path, dax=device.dax or not dcpm.allow_no_dax)
        ),
        Step("hand_over", lambda: mount_points.hand_over(path, uid, gid)),
        Step("complete", lambda: journal.remove(path)),
    ]


def mount_scm(request: ScmMount) -> MountReply:
    """Mount what is formatted; nothing to do where it already is."""
    path = Path(request.target)
    target = mount_points.inspect(path)
    if request.class_ == "ram":
        if request.ramdisk is None:
            raise faults.scm_missing_parameters()
        if target.mount and target.mount.filesystem != "tmpfs":
            raise faults.target_already_mounted(request.target, str(target.mount))
        if not target.mount:
            mount_points.mount_ramdisk(path, request.ramdisk)
    elif request.class_ == "dcpm":
        device = _device(request.device)
        if target.mount and not devices.mounted_device(target.mount, device):
            raise faults.target_already_mounted(request.target, str(target.mount))
        if not target.mount:
            _check_mountable(target, device, allow_no_dax=request.allow_no_dax)
            mount_points.mount_device(path, device.path, dax=device.dax)
    else:
        raise faults.scm_missing_parameters()
    return MountReply(request.target, mounted=True)


def unmount_scm(request: ScmUnmount) -> MountReply:
    """Unmount; nothing to do where nothing is mounted."""
    mount_points.clear(Path(request.target))
    return MountReply(request.target, mounted=False)


def _judge(
    request: ScmFormat, *, tolerate_missing_mount_point: bool = False
) -> tuple[Target, Device | None, Verdict]:
    if not request.mountpoint:
        raise faults.scm_missing_mountpoint()
    if request.ramdisk and request.dcpm:
        raise faults.scm_conflicting_parameters()
    path = Path(request.mountpoint)
    target = mount_points.inspect(path)
    record = journal.read(path)
    if request.ramdisk:
        return target, None, decisions.judge_ram(target, record)
    if not request.dcpm:
        raise faults.scm_missing_parameters()
    device = _device(request.dcpm.device)
    if tolerate_missing_mount_point and target.kind is decisions.Kind.MISSING:
        seen = Target(path, decisions.Kind.DIRECTORY)
        return target, device, decisions.judge_device(seen, device, record)
    return target, device, decisions.judge_device(target, device, record)


def _device(name: str) -> Device:
    if not name:
        raise faults.scm_invalid_device_count(0)
    try:
        return devices.inspect(Path(name))
    except FileNotFoundError as error:
        raise faults.scm_missing_device(name) from error
    except devices.NotABlockDeviceError as error:
        raise faults.scm_not_block_device(name) from error
    except OSError as error:
        raise faults.path_access_denied(name, error.strerror or str(error)) from error


def _check_mountable(target: Target, device: Device, *, allow_no_dax: bool) -> None:
    name = str(device.path)
    if target.kind is decisions.Kind.MISSING:
        raise faults.device_with_fs_no_mountpoint(name, str(target.path))
    if used := decisions.in_use(target, device):
        raise faults.device_in_use(name, used)
    if len(device.signatures) != 1 or not decisions.is_ours(device.signatures[0]):
        found = ", ".join(str(signature) for signature in device.signatures) or "no file system"
        raise faults.mount_failed(name, str(target.path), f"it holds {found}, not a file system of DAOS")
    decisions.check_dax(device, allow_no_dax=allow_no_dax)


def _claim(path: Path, before: Device, uuid: str, force: bool) -> None:
    """Look again right before the first step that destroys: nobody may have put anything there meanwhile, and
    mkfs must say that it would do."""
    now = _device(str(before.path))
    if used := decisions.in_use(Target(path, decisions.Kind.DIRECTORY), now):
        raise faults.device_in_use(str(now.path), used)
    if (now.identity, now.signatures) != (before.identity, before.signatures):
        raise faults.format_failed(str(now.path), "the device changed while the format was beginning")
    _mkfs(now.path, uuid, force, check_only=True)


def _wipe(device: Path) -> None:
    """Erase what mkfs would leave (some signatures lie where ext4 writes nothing), so that only ours is found."""
    try:
        signatures.wipe(device)
    except OSError as error:
        raise faults.format_failed(os.fspath(device), f"erasing old signatures: {error}") from error


def _mkfs(device: Path, uuid: str, force: bool, *, check_only: bool = False) -> None:
    """Make the file system. `check_only` asks mkfs whether it would, before anything is touched."""
    command = ["mkfs.ext4", *(["-F"] if force else []), *MKFS_OPTIONS, "-U", uuid, os.fspath(device)]
    try:
        if check_only:
            run_program([*command[:-1], "-n", command[-1]])
        else:
            run_program(command, operation=FORMAT, step="mkfs")
    except FileNotFoundError as error:
        raise pbin.missing_software("mkfs.ext4", "class dcpm", "the package e2fsprogs") from error
    except OSError as error:
        raise faults.format_failed(os.fspath(device), error.strerror or str(error)) from error


def _reply(path: Path, verdict: Verdict) -> ScmFormatReply:
    state = verdict.state
    mount = mounts.at(path)
    return ScmFormatReply(
        mountpoint=str(path),
        formatted=state in (ScmState.MOUNTED, ScmState.MOUNTABLE, ScmState.FOREIGN),
        mounted=state is ScmState.MOUNTED and mount is not None,
        mountable=state is ScmState.MOUNTABLE,
        state=state.value,
        found=verdict.found,
    )
