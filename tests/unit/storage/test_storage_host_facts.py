"""Mounts, memory, persistent memory and the record of a format, out of files of the kernel's form."""

from dataclasses import replace
from pathlib import Path

import pytest

from daos_control.faults import Code, ControlError, Fault
from daos_control.storage import journal, memory, mounts, namespaces
from daos_control.storage.journal import Journal
from daos_control.storage.signatures import Signature

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:39 / /mnt/da\\040os rw,noatime shared:5 master:2 - tmpfs tmpfs rw,size=1048576k,mpol=prefer:0
41 40 259:0 / /mnt/da\\040os rw,noatime - ext4 /dev/pmem0 rw,dax=always,nodelalloc
a line that is none
"""


def test_mounts_are_read_with_optional_fields_and_escapes() -> None:
    found = mounts.parse(MOUNTINFO)
    assert len(found) == 4
    assert found[2].path == "/mnt/da os"
    assert found[2].super_options >= {"size=1048576k"}
    assert mounts.at(Path("/mnt/da os"), found) == found[3]
    assert mounts.at(Path("/mnt"), found) is None
    assert mounts.holding(Path("/mnt/da os/x/y"), found) == found[3]
    assert mounts.holding(Path("/mnt/daos"), found) == found[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:       24684092 kB\nMemFree:        20740548 kB\nMemAvailable:   23956084 kB\n"
        "HugePages_Total:    1024\nHugePages_Free:      512\nHugePages_Rsvd:        1\nHugePages_Surp:        2\n"
        "Hugepagesize:       2048 kB\n"
    )
    for node in (0, 1, 10):
        directory = tmp_path / f"sys/devices/system/node/node{node}"
        directory.mkdir(parents=True)
        (directory / "meminfo").write_text(
            f"Node {node} MemTotal:        7825620 kB\nNode {node} MemFree:         3882128 kB\n"
            f"Node {node} MemUsed:         3943492 kB\nNode {node} HugePages_Total:   {node}\n"
            f"Node {node} HugePages_Free:      0\nNode {node} HugePages_Surp:      0\n"
        )
    return tmp_path


def test_memory_is_read_for_host_and_nodes_in_order(root: Path) -> None:
    found = memory.snapshot(root)
    assert (found.total_kib, found.free_kib, found.available_kib) == (24684092, 20740548, 23956084)
    assert (found.huge_total, found.huge_free, found.huge_reserved, found.huge_surplus) == (1024, 512, 1, 2)
    assert found.huge_page_kib == 2048
    assert [node.node for node in found.nodes] == [0, 1, 10]
    assert found.nodes[2].huge_total == 10
    assert found.nodes[0].used_kib == 3943492


def test_memory_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="cannot be read"):
        memory.snapshot(tmp_path)


def test_nine_tenths_of_the_ram_disks_must_be_available() -> None:
    now = replace(memory.MemorySnapshot(), available_kib=9 << 20)
    memory.check_available(10 * memory.GIB, now)
    with pytest.raises(Fault, match="Available") as caught:
        memory.check_available(20 * memory.GIB, now)
    assert caught.value.code == Code.SCM_RAMDISK_LOW_MEM
    assert "18.0 GiB are needed (90 % of them), 9.0 GiB found" in caught.value.description
    assert "9.0 GiB are missing" in caught.value.resolution
    memory.check_available(20 * memory.GIB, now, reclaimed_bytes=9 * memory.GIB)


def test_a_mounted_ram_disk_may_be_smaller_than_configured_but_not_larger() -> None:
    memory.check_existing(Path("/mnt/daos0"), 4, 4)
    memory.check_existing(Path("/mnt/daos0"), 3, 4)
    with pytest.raises(Fault) as caught:
        memory.check_existing(Path("/mnt/daos0"), 5, 4)
    assert caught.value.code == Code.SCM_RAMDISK_BAD_SIZE
    assert caught.value.resolution.startswith("To keep what is on it, set scm_size")


def test_persistent_memory_is_found_with_its_namespace(tmp_path: Path) -> None:
    blocks = tmp_path / "class/block"
    behind = tmp_path / "devices/ndbus0/region0/namespace0.0"
    (behind / "block").mkdir(parents=True)
    (behind / "uuid").write_text("1a2b\n")
    (behind / "numa_node").write_text("1\n")
    for name, size in (("pmem0", "4096"), ("sda", "8"), ("loop7", "16")):
        (blocks / name).mkdir(parents=True)
        (blocks / name / "size").write_text(size)
    (blocks / "pmem0/device").symlink_to(behind)

    found = namespaces.scan([Path("/dev/loop7"), Path("/dev/missing")], tmp_path)

    assert [namespace.block_device for namespace in found] == ["loop7", "pmem0"]
    assert found[1] == namespaces.Namespace("pmem0", "namespace0.0", "1a2b", 1, 4096 * 512)
    assert found[0].size_bytes == 16 * 512


def test_the_record_of_a_format_is_kept_beside_the_mount_point(tmp_path: Path) -> None:
    mount_point = tmp_path / "daos0"
    record = Journal("device", "uuid", True, (Signature("xfs", "filesystem", "l", "u"),))
    assert journal.read(mount_point) is None
    journal.write(mount_point, record)
    assert journal.path_for(mount_point).parent == tmp_path
    assert journal.read(mount_point) == record
    assert [entry.name for entry in tmp_path.iterdir()] == [".daos_format.daos0"]
    journal.remove(mount_point)
    journal.remove(mount_point)
    assert journal.read(mount_point) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 2, "before": []}', '{"version": 1, "before": [1]}']
)
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    journal.path_for(tmp_path / "daos0").write_text(text)
    assert journal.read(tmp_path / "daos0") is None
