"""Sharing out memory: huge pages and the sizes of RAM disks."""

from typing import Any

import pytest

from daos_control.config import memory
from daos_control.config.memory import GIB
from daos_control.config.models import ServerConfig
from daos_control.config.problems import ConfigError
from daos_control.faults import Code, ControlError, Fault
from daos_control.storage.memory import MemorySnapshot
from unit.config.samples import REMOVE, document, nvme, parse, spoil

PAGE_KIB = 2048
PAGES_PER_GIB = 512
AUTO = {f"engines.{i}.storage.0.scm_size": REMOVE for i in (0, 1)}


def config(engines: int = 2, **changes: Any) -> ServerConfig:
    return parse(spoil(document(engines), {key.replace("__", "."): value for key, value in changes.items()}))


def host(gib: float) -> MemorySnapshot:
    return MemorySnapshot(total_kib=int(gib * 1024 * 1024), huge_page_kib=PAGE_KIB)


def sizes(made: ServerConfig) -> list[int]:
    return [engine.storage[0].scm_size for engine in made.engines]


def test_each_target_on_block_devices_needs_a_gib_of_huge_pages() -> None:
    assert memory.huge_pages_min(config(), PAGE_KIB) == 8 * PAGES_PER_GIB
    assert memory.huge_pages_min(config(), 1024 * 1024) == 8


def test_an_engine_of_one_target_needs_huge_pages_for_two() -> None:
    assert memory.huge_pages_min(config(1, engines__0__targets=1), PAGE_KIB) == 2 * PAGES_PER_GIB


@pytest.mark.parametrize(("targets", "units"), [(1, 2), (4, 5)])
def test_metadata_on_ssds_need_a_gib_more_for_each_engine(targets: int, units: int) -> None:
    tree = spoil(
        document(),
        {
            "control_metadata.path": "/var/daos",
            "engines.0.targets": targets,
            "engines.0.storage.1": nvme("0000:81:00.0", roles=["wal", "meta", "data"]),
        },
    )
    assert memory.huge_pages_min(parse(tree), PAGE_KIB) == units * PAGES_PER_GIB


@pytest.mark.parametrize(("configured", "pages"), [(0, 128), (127, 128), (129, 129)])
def test_without_block_devices_there_are_pages_enough_to_look_for_them(configured: int, pages: int) -> None:
    plain = config(1, engines__0__storage=[{"class": "ram", "scm_mount": "/m"}], nr_hugepages=configured)
    made, notices = memory.with_huge_pages(plain, PAGE_KIB)
    assert (made.nr_hugepages, notices) == (pages, [])


def test_huge_pages_that_the_file_does_not_name_are_computed() -> None:
    made, notices = memory.with_huge_pages(config(), PAGE_KIB)
    assert (made.nr_hugepages, notices) == (4096, [])


def test_fewer_huge_pages_than_needed_are_told_and_left() -> None:
    made, notices = memory.with_huge_pages(config(nr_hugepages=4095), PAGE_KIB)
    assert made.nr_hugepages == 4095
    assert "4095 huge pages are fewer than the 4096" in notices[0].text


def test_no_huge_pages_are_asked_for_where_they_are_disabled_or_the_engine_is_the_embedded_one() -> None:
    for plain in (config(disable_hugepages=True), config(daos_control={"embedded_engine": True})):
        assert memory.with_huge_pages(plain, PAGE_KIB) == (plain, [])


def test_what_is_not_reserved_is_shared_between_engines() -> None:
    # 200 - 64 for the system - 8 of huge pages - 1 for each engine, by two.
    plain = config(nr_hugepages=4096)
    assert memory.ramdisk_bytes_max(plain, host(200)) == 63 * GIB


def test_many_targets_reserve_more_than_the_least_for_an_engine() -> None:
    plain = config(1, engines__0__targets=16)
    assert memory.reserved_bytes(plain, PAGE_KIB) == (64 + 2) * GIB


def test_a_size_that_the_file_does_not_name_is_the_largest_in_whole_gib() -> None:
    plain = parse(spoil(document(2), {**AUTO, "nr_hugepages": 4096}))
    assert sizes(memory.with_ramdisk_sizes(plain, host(201.9))) == [63, 63]


def test_a_size_of_the_file_is_kept_up_to_the_largest() -> None:
    plain = config(system_ram_reserved=1, engines__0__storage__0__scm_size=5, engines__1__storage__0__scm_size=4)
    assert sizes(memory.with_ramdisk_sizes(plain, host(13))) == [5, 4]


def test_a_size_beyond_memory_is_refused() -> None:
    plain = config(1, system_ram_reserved=1, engines__0__storage__0__scm_size=7)
    with pytest.raises(Fault) as caught:
        memory.with_ramdisk_sizes(plain, host(8.9))
    assert caught.value.code == Code.SERVER_CONFIG_RAMDISK_OVER_MAX_MEM


def test_sizes_beyond_memory_of_several_engines_are_told_together() -> None:
    plain = config(system_ram_reserved=1, **{f"engines__{i}__storage__0__scm_size": 7 for i in (0, 1)})
    with pytest.raises(ConfigError) as caught:
        memory.with_ramdisk_sizes(plain, host(13))
    assert [(p.key, p.code) for p in caught.value.problems] == [
        ("engines[0].storage[0].scm_size", 731),
        ("engines[1].storage[0].scm_size", 731),
    ]


def test_memory_for_less_than_the_smallest_ram_disk_is_refused() -> None:
    with pytest.raises(Fault) as caught:
        memory.with_ramdisk_sizes(config(system_ram_reserved=1), host(10.9))
    assert caught.value.code == Code.SCM_RAMDISK_LOW_MEM
    assert caught.value.description == (
        "Total memory (RAM) is too small for RAM disks of 8.0 GiB: 11.0 GiB are needed (with 0.0 GiB of huge "
        "pages, 1 GiB of system_ram_reserved, and 1.0 GiB for each of 2 engines), 10.9 GiB found"
    )
    assert "system_ram_reserved" in caught.value.resolution


def test_more_reserved_than_there_is_is_refused() -> None:
    with pytest.raises(ControlError, match=r"66\.0 GiB are reserved"):
        memory.with_ramdisk_sizes(config(), host(64))


def test_persistent_memory_is_not_sized() -> None:
    storage = [{"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/pmem0"]}]
    plain = config(1, engines__0__storage=storage)
    assert memory.with_ramdisk_sizes(plain, host(1)) == plain


def test_without_engines_nothing_is_sized() -> None:
    plain = parse({})
    assert memory.with_ramdisk_sizes(plain, host(1)) is plain


def test_huge_pages_are_wanted_on_the_nodes_of_the_engines() -> None:
    assert memory.huge_page_nodes(config(), [1, 0]) == [0, 1]
    assert memory.huge_page_nodes(config(), [None, None]) == [0]


def test_engines_spread_unevenly_are_refused_unless_allowed() -> None:
    with pytest.raises(Fault) as caught:
        memory.huge_page_nodes(config(3), [0, 0, 1])
    assert caught.value.code == Code.SERVER_CONFIG_ENGINE_NUMA_IMBALANCE
    assert "2 on node 0, 1 on node 1" in caught.value.description
    assert memory.huge_page_nodes(config(3, allow_numa_imbalance=True), [0, 0, 1]) == [0, 1]


def test_without_block_devices_huge_pages_are_on_node_0() -> None:
    plain = config(1, engines__0__storage=[{"class": "ram", "scm_mount": "/m"}])
    assert memory.huge_page_nodes(plain, [1]) == [0]
