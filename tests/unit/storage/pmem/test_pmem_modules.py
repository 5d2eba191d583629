"""Modules: what sysfs and libipmctl tell of them, and which are meant by a firmware request."""

from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.pmem import firmware, library, nvdimm
from daos_control.storage.pmem.messages import ScmFirmwareUpdate
from daos_control.storage.pmem.model import Module


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        file = directory / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(nvdimm, "SYSFS", tmp_path)
    return tmp_path / "bus/nd/devices"


def test_a_host_without_modules_has_none(devices: Path) -> None:
    assert nvdimm.modules() == []


def test_modules_are_told_by_sysfs_with_the_node_and_the_bytes_of_their_regions(devices: Path) -> None:
    write(
        devices / "nmem0",
        commands="get_size get_data set_data",
        nfit__handle="0x1023",
        nfit__phys_id="0x0007",
        nfit__id="8680-57341200",
        nfit__vendor="0x8680",
        nfit__device="0x0100",
        nfit__flags="",
    )
    write(devices / "nmem1", commands="smart", nfit__vendor="0x8089", nfit__flags="not_armed smart_notify")
    write(devices / "region0", mappings="1", mapping0="nmem0,0,536870912,0", numa_node="1")
    write(devices / "region1", mappings="1", mapping0="nmem0,536870912,1024", numa_node="1")
    second, first = nvdimm.modules()
    assert first.module == Module(
        channel_id=2,
        channel_position=3,
        controller_id=0,
        socket_id=1,
        physical_id=7,
        capacity=536870912 + 1024,
        uid="8680-57341200",
        part_number="8680-0100",
        health_state="Healthy",
    )
    assert (first.labels, first.vendor) == (True, 0x8680)
    assert (second.labels, second.vendor) == (False, nvdimm.OPTANE_VENDOR)
    assert second.module.health_state == "not_armed smart_notify"


def test_the_structures_of_libipmctl_have_the_layout_of_its_headers() -> None:
    """Measured with the C compiler on the headers of version 3."""
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef(library._DECLARATIONS)
    assert (ffi.sizeof("struct device_discovery"), ffi.sizeof("struct device_fw_info")) == (256, 64)
    offsets = {"physical_id": 8, "part_number": 52, "capacity": 128, "uid": 170, "manageability": 196}
    assert {name: ffi.offsetof("struct device_discovery", name) for name in offsets} == offsets
    assert ffi.sizeof("struct device_status") >= 128


def test_a_library_that_is_another_one_is_refused() -> None:
    pytest.importorskip("cffi")
    with pytest.raises(library.LibraryError, match="cannot be used"):
        library.Library("libc.so.6")


def test_without_the_library_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "NAMES", ("libno-such-thing.so.1",))
    assert library.find() is None


MODULES = [
    Module(physical_id=1, uid="b", part_number="NMB1", firmware_revision="01.01"),
    Module(physical_id=2, uid="a", part_number="NMB2", firmware_revision="01.02"),
    Module(physical_id=3, uid="c", part_number="NMB1", firmware_revision="01.02"),
]


@pytest.mark.parametrize(
    ("filters", "uids"),
    [
        ({}, "bac"),
        ({"uids": ("c", "a")}, "ac"),
        ({"uids": ("c", "none")}, "c"),
        ({"model": "nmb1"}, "bc"),
        ({"revision": "01.02"}, "ac"),
        ({"model": "NMB1", "revision": "01.02", "uids": ("a", "c")}, "c"),
        ({"model": "NMB"}, ""),
    ],
)
def test_filters_choose_modules(filters: dict[str, str], uids: str) -> None:
    assert "".join(module.uid for module in firmware.select(MODULES, **filters)) == uids  # type: ignore[arg-type]


def test_a_module_named_twice_is_fault_209() -> None:
    with pytest.raises(Fault, match="a, c") as caught:
        firmware.select(MODULES, uids=("c", "a", "c", "b", "a"))
    assert caught.value.code == Code.SCM_DUPLICATES_IN_DEVICE_LIST


@pytest.mark.parametrize(
    ("modules", "request_", "code"),
    [
        (MODULES, ScmFirmwareUpdate(firmware_path=""), Code.PRIVILEGED_HELPER_REQUEST_FAILED),
        (MODULES, ScmFirmwareUpdate(firmware_path="/no/file"), Code.PRIVILEGED_HELPER_REQUEST_FAILED),
        ([], ScmFirmwareUpdate(firmware_path=__file__), Code.SCM_NO_PMEM),
        (MODULES, ScmFirmwareUpdate(firmware_path=__file__, model_id="x"), Code.SCM_NO_DEVICES_MATCH_FILTER),
        (MODULES, ScmFirmwareUpdate(firmware_path=__file__, device_uids=("x",)), Code.SCM_NO_DEVICES_MATCH_FILTER),
    ],
)
def test_updates_that_cannot_be_are_refused(modules: list[Module], request_: ScmFirmwareUpdate, code: Code) -> None:
    with pytest.raises(Fault) as caught:
        firmware.check_update(modules, request_)
    assert caught.value.code == code


def test_an_update_takes_the_modules_that_match() -> None:
    request = ScmFirmwareUpdate(firmware_path=__file__, firmware_rev="01.02")
    assert [module.uid for module in firmware.check_update(MODULES, request)] == ["a", "c"]
