"""Every state of SCM against every kind of finding: what may be formatted, and what never."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import Code, Fault
from daos_control.storage import decisions
from daos_control.storage.api import ScmState
from daos_control.storage.decisions import Kind, Target, Verdict
from daos_control.storage.devices import Device
from daos_control.storage.journal import Journal
from daos_control.storage.mounts import Mount
from daos_control.storage.signatures import Signature

OURS = Signature("ext4", "filesystem", "daos", "u-ours")
NEW = Signature("ext4", "filesystem", "daos", "u-new")
OTHER_EXT4 = Signature("ext4", "filesystem", "home", "u-home")
XFS = Signature("xfs", "filesystem", "", "u-xfs")
TABLE = Signature("gpt", "partition table")

MOUNT_POINT = Path("/mnt/daos0")
TARGET = Target(MOUNT_POINT, Kind.DIRECTORY)
MISSING = Target(MOUNT_POINT, Kind.MISSING)
DEVICE = Device(Path("/dev/pmem0"), "259:0", 1 << 30, False, True, "uuid-of-pmem", (), (), ())
RECORD = Journal(device="uuid-of-pmem", uuid="u-new")


def device(*signatures: Signature) -> Device:
    return replace(DEVICE, signatures=signatures)


def mounted(filesystem: str, number: str = "0:50", *, empty: bool = False) -> Target:
    mount = Mount(str(MOUNT_POINT), number, "/", filesystem, "source", frozenset(), frozenset())
    return replace(TARGET, mount=mount, empty=empty)


@pytest.mark.parametrize(
    ("target", "record", "state"),
    [
        (MISSING, None, ScmState.UNFORMATTED),
        (TARGET, None, ScmState.UNFORMATTED),
        (TARGET, Journal(), ScmState.INCOMPLETE),
        (mounted("tmpfs"), None, ScmState.MOUNTED),
        (mounted("tmpfs", empty=True), None, ScmState.MOUNTED),
        (mounted("tmpfs", empty=True), Journal(), ScmState.INCOMPLETE),
        (mounted("tmpfs"), Journal(), ScmState.MOUNTED),
        (mounted("tmpfs"), Journal(forced=True), ScmState.INCOMPLETE),
        (mounted("xfs"), None, ScmState.FOREIGN),
        (mounted("xfs"), Journal(forced=True), ScmState.FOREIGN),
    ],
)
def test_the_state_of_a_ram_disk(target: Target, record: Journal | None, state: ScmState) -> None:
    assert decisions.judge_ram(target, record).state is state


@pytest.mark.parametrize(
    ("target", "found", "record", "state"),
    [
        (TARGET, device(), None, ScmState.UNFORMATTED),
        (MISSING, device(), None, ScmState.UNFORMATTED),
        (TARGET, device(OURS), None, ScmState.MOUNTABLE),
        (TARGET, device(OTHER_EXT4), None, ScmState.FOREIGN),
        (TARGET, device(XFS), None, ScmState.FOREIGN),
        (TARGET, device(TABLE), None, ScmState.FOREIGN),
        (TARGET, device(OURS, XFS), None, ScmState.FOREIGN),
        (mounted("ext4", "259:0"), device(OURS), None, ScmState.MOUNTED),
        (mounted("ext4", "8:1"), device(OURS), None, ScmState.FOREIGN),
        # A format was cut off.
        (TARGET, device(), RECORD, ScmState.INCOMPLETE),
        (TARGET, device(NEW), RECORD, ScmState.INCOMPLETE),
        (mounted("ext4", "259:0"), device(NEW), RECORD, ScmState.INCOMPLETE),
        (TARGET, device(XFS), replace(RECORD, before=(XFS,), forced=True), ScmState.INCOMPLETE),
        (TARGET, device(OURS), replace(RECORD, before=(OURS,), forced=True), ScmState.INCOMPLETE),
        # The record does not explain what is there now.
        (TARGET, device(XFS), RECORD, ScmState.FOREIGN),
        (TARGET, device(NEW, XFS), RECORD, ScmState.FOREIGN),
        (TARGET, device(OURS), RECORD, ScmState.MOUNTABLE),
        (mounted("ext4", "259:0"), device(OURS), RECORD, ScmState.MOUNTED),
        # It is about another device.
        (TARGET, device(), replace(RECORD, device="another"), ScmState.UNFORMATTED),
        (TARGET, device(NEW), replace(RECORD, device="another"), ScmState.MOUNTABLE),
        (TARGET, device(XFS), replace(RECORD, device="another", before=(XFS,)), ScmState.FOREIGN),
        # Somebody uses it.
        (TARGET, replace(DEVICE, mounted_at=("/home",)), None, ScmState.FOREIGN),
        (TARGET, replace(DEVICE, users=("dm-0",)), RECORD, ScmState.FOREIGN),
    ],
)
def test_the_state_of_a_device(target: Target, found: Device, record: Journal | None, state: ScmState) -> None:
    assert decisions.judge_device(target, found, record).state is state


def test_a_missing_mount_point_of_our_file_system_is_a_fault_of_its_own() -> None:
    with pytest.raises(Fault) as caught:
        decisions.judge_device(MISSING, device(OURS), None)
    assert caught.value.code == Code.STORAGE_DEVICE_WITH_FS_NO_MOUNTPOINT
    text = caught.value.description + caught.value.resolution
    assert "do not format" in text
    assert not {"force", "wipe", "reformat"} & set(text.lower().split())


@pytest.mark.parametrize("kind", [Kind.LINK, Kind.OTHER])
def test_a_mount_point_must_be_a_directory(kind: Kind) -> None:
    with pytest.raises(Fault) as caught:
        decisions.judge_ram(Target(MOUNT_POINT, kind), None)
    assert caught.value.code == Code.STORAGE_PATH_ACCESS_DENIED


@pytest.mark.parametrize("path", ["daos0", "/"])
def test_a_mount_point_must_be_absolute_and_not_the_root(path: str) -> None:
    with pytest.raises(Fault) as caught:
        decisions.judge_ram(Target(Path(path), Kind.DIRECTORY), None)
    assert caught.value.code == Code.SCM_FORMAT_MISSING_MOUNTPOINT


SIGNATURES = st.sampled_from([OURS, NEW, OTHER_EXT4, XFS, TABLE])
DEVICES = st.builds(
    Device,
    path=st.just(DEVICE.path),
    number=st.just(DEVICE.number),
    size_bytes=st.sampled_from([0, 1 << 20, 1 << 30]),
    read_only=st.booleans(),
    dax=st.booleans(),
    identity=st.sampled_from(["uuid-of-pmem", "another"]),
    mounted_at=st.sampled_from([(), ("/home",), (str(MOUNT_POINT),)]),
    users=st.sampled_from([(), ("swap",)]),
    signatures=st.lists(SIGNATURES, max_size=2, unique=True).map(tuple),
)
TARGETS = st.sampled_from([TARGET, MISSING, mounted("ext4", "259:0"), mounted("ext4", "8:1"), mounted("tmpfs")])
RECORDS = st.none() | st.builds(
    Journal,
    device=st.just("uuid-of-pmem"),
    uuid=st.just("u-new"),
    forced=st.booleans(),
    before=st.lists(SIGNATURES, max_size=1).map(tuple),
)


@given(DEVICES, TARGETS, RECORDS, st.booleans(), st.booleans())
def test_no_device_is_ever_formatted_that_must_not_be(
    found: Device, target: Target, record: Journal | None, force: bool, allow_no_dax: bool
) -> None:
    try:
        verdict = decisions.judge_device(target, found, record)
        decisions.check_device_format(verdict, target, found, force=force, allow_no_dax=allow_no_dax)
    except Fault:
        return
    own = str(target.mount.path) if target.mount else None
    assert not found.users
    assert set(found.mounted_at) <= {own}
    assert not found.read_only
    assert found.size_bytes >= decisions.DEVICE_BYTES_MIN
    assert found.dax or allow_no_dax
    if not force:
        recorded = record is not None and record.device == found.identity
        known = {NEW, *(record.before if record else ())} if recorded else set()
        assert set(found.signatures) <= known
        assert target.mount is None or (NEW in found.signatures and target.mount.number == found.number)


def test_a_device_whose_blocks_are_larger_than_those_of_the_file_system_is_refused() -> None:
    with pytest.raises(Fault, match="blocks of 8192 bytes") as caught:
        decisions.check_device_format(
            Verdict(ScmState.UNFORMATTED), TARGET, replace(DEVICE, block_bytes=8192), force=True, allow_no_dax=False
        )
    assert caught.value.code == Code.SCM_INVALID_PMEM
    assert "Nothing was changed" in caught.value.resolution


@pytest.mark.parametrize("state", [ScmState.MOUNTED, ScmState.MOUNTABLE, ScmState.FOREIGN])
def test_a_ram_disk_in_use_is_formatted_only_with_force(state: ScmState) -> None:
    with pytest.raises(Fault) as caught:
        decisions.check_ram_format(Verdict(state), TARGET, force=False)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    decisions.check_ram_format(Verdict(state), TARGET, force=True)
