"""The helper's methods for NVMe on the wire, what is judged foreign, VMD substitution."""

import pytest

from daos_control.storage.helper import protocol
from daos_control.storage.nvme import operations, wipe
from daos_control.storage.nvme.controller import NvmeController, NvmeHealth, NvmeNamespace
from daos_control.storage.nvme.messages import BdevPrepare, BdevScan, BdevScanReply, NvmeFirmwareUpdate
from daos_control.storage.nvme.session import Namespace


def test_requests_have_the_names_that_daos_gives_them() -> None:
    prepared = protocol.to_json(BdevPrepare())
    assert set(prepared) == {
        *("Forwarded", "HugepageCount", "HugeNodes", "CleanSpdkHugepages", "CleanSpdkLockfiles"),
        *("CleanSpdkLockfilesAny", "PCIAllowList", "PCIBlockList", "TargetUser", "Reset_", "DisableVFIO"),
        *("EnableVMD", "PagesOnly"),
    }
    assert set(protocol.to_json(BdevScan())) == {"Forwarded", "DeviceList", "VMDEnabled"}
    assert set(protocol.to_json(NvmeFirmwareUpdate(firmware_path="/f"))) == {
        *("Forwarded", "FirmwarePath", "DeviceAddrs", "ModelID", "FirmwareRev"),
    }


def test_controllers_are_written_as_daos_writes_them_and_come_back_equal() -> None:
    health = NvmeHealth(temperature=300, link_max_speed=8e9)
    reply = BdevScanReply(
        (NvmeController("0000:81:00.0", "m", health_stats=health, namespaces=(NvmeNamespace(1, 5),)),)
    )
    data = protocol.encode_reply(reply)
    assert b'"pci_addr": "0000:81:00.0"' in data
    assert protocol.decode_reply("BdevScan", data) == reply


def blobstore(kind: bytes) -> bytes:
    return b"SPDKBLOB" + bytes(48) + kind.ljust(16, b"\0")


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (bytes(4096), ""),
        (blobstore(b""), ""),
        (blobstore(bytes(range(0x90, 0xA0))), ""),
        (blobstore(b"LVOLSTORE"), "an SPDK blobstore of type LVOLSTORE"),
        (b"SPDKRAID" + bytes(100), "a member of an SPDK RAID"),
        (b"", ""),
    ],
)
def test_blobstores_of_daos_are_its_own_and_others_are_foreign(first: bytes, expected: str) -> None:
    assert wipe.foreign(first) == expected


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("size", [1 << 20, 6 << 20, (6 << 20) + 4096, 1 << 40])
def test_both_ends_are_covered_in_whole_blocks_and_nothing_beyond(block: int, size: int) -> None:
    namespace = Namespace("d", 1, block, size // block)
    covered = 0
    for start, length in wipe._ends(namespace):
        for at, count in wipe._chunks(namespace, start, length, 128 << 10):
            assert at % block == count % block == 0
            assert 0 < count <= 128 << 10
            assert at + count <= size
            covered += count
    assert min(size, 2 * wipe.END_BYTES) <= covered <= min(size, 2 * wipe.END_BYTES + block)


def test_vmds_are_replaced_by_what_is_behind_them() -> None:
    found = [NvmeController("5d0505:03:00.0"), NvmeController("5d0505:01:00.0"), NvmeController("0000:81:00.0")]
    devices = ("0000:5d:05.5", "0000:81:00.0", "0000:99:00.0")
    assert operations.with_backing(devices, found) == (
        *("0000:81:00.0", "0000:99:00.0"),
        *("5d0505:01:00.0", "5d0505:03:00.0"),
    )
