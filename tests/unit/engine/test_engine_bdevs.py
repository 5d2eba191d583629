"""Extents of block devices, and the configuration that names the devices."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daos_control.engine.bdev_extents import CLUSTER_BYTES, Extent, ExtentMap, NoSpaceError
from daos_control.engine.bdevs import Bdev, BdevConfig, Role, parse_config
from daos_control.engine.errors import StartError

CLUSTERS = 32


class ExtentUse(RuleBasedStateMachine):
    """Any order of taking and giving back, against a set of cluster numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.map = ExtentMap(CLUSTERS)
        self.taken: list[tuple[Extent, ...]] = []

    @rule(count=st.integers(1, CLUSTERS))
    def allocate(self, count: int) -> None:
        free = self.map.free_clusters
        try:
            extents = self.map.allocate(count)
        except NoSpaceError:
            assert count > free
            return
        assert sum(extent.count for extent in extents) == count
        self.taken.append(extents)

    @rule(index=st.integers(0, CLUSTERS))
    def release(self, index: int) -> None:
        if self.taken:
            self.map.release(self.taken.pop(index % len(self.taken)))

    @rule()
    def restart(self) -> None:
        self.map = ExtentMap(CLUSTERS)
        for extents in self.taken:
            for extent in extents:
                self.map.reserve(extent)

    @invariant()
    def nothing_is_lost_or_given_twice(self) -> None:
        self.map.check_invariants()
        used = [n for extents in self.taken for extent in extents for n in range(extent.start, extent.end)]
        assert len(used) == len(set(used))
        assert self.map.free_clusters == CLUSTERS - len(used)


TestExtentUse = ExtentUse.TestCase


def test_the_smallest_run_that_fits_is_taken_whole() -> None:
    extents = ExtentMap(10)
    extents.reserve(Extent(4, 1))
    assert extents.allocate(4) == (Extent(0, 4),)
    assert extents.allocate(5) == (Extent(5, 5),)


def test_pieces_are_put_together_where_no_run_fits() -> None:
    extents = ExtentMap(10)
    extents.reserve(Extent(4, 1))
    assert extents.allocate(7) == (Extent(5, 5), Extent(0, 2))


@given(st.integers(0, 9), st.integers(1, 12))
def test_what_is_taken_cannot_be_taken_again(start: int, count: int) -> None:
    extents = ExtentMap(10)
    extents.allocate(10)
    with pytest.raises(ValueError, match="not free"):
        extents.reserve(Extent(start, count))


@pytest.mark.parametrize("extent", [Extent(3, 2), Extent(-1, 1), Extent(9, 2), Extent(0, 0)])
def test_what_is_free_cannot_be_given_back(extent: Extent) -> None:
    extents = ExtentMap(10)
    extents.reserve(Extent(0, 4))
    extents.reserve(Extent(9, 1))
    with pytest.raises(ValueError, match="not in use"):
        extents.release([extent])


def config(*calls: dict[str, Any]) -> dict[str, Any]:
    options = {"params": {"bdev_io_pool_size": 65536}, "method": "bdev_set_options"}
    return {
        "daos_data": {"config": []},
        "subsystems": [{"subsystem": "bdev", "config": [options, *calls]}, {"subsystem": "iobuf", "config": []}],
    }


def aio(name: str, path: str) -> dict[str, Any]:
    return {"params": {"block_size": 4096, "name": name, "filename": path}, "method": "bdev_aio_create"}


def test_files_and_their_roles_are_read_from_the_configuration() -> None:
    found = parse_config(
        config(aio("AIO_my_host_0_1_6", "/a"), aio("AIO_my_host_0_2_1", "/b"), aio("AIO_h_1_1_0", "/c"))
    )
    assert [(device.path, device.role) for device in found] == [
        (Path("/a"), Role.META | Role.WAL),
        (Path("/b"), Role.DATA),
        (Path("/c"), Role.NONE),
    ]
    assert [device.holds_data for device in found] == [False, True, True]


def test_an_nvme_controller_is_refused_by_name() -> None:
    attach = {"params": {"name": "Nvme_h_0_1_0", "traddr": "0000:81:00.0"}, "method": "bdev_nvme_attach_controller"}
    with pytest.raises(StartError, match="Nvme_h_0_1_0"):
        parse_config(config(attach))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"subsystems": 1},
        {"subsystems": [{}]},
        config({"method": "bdev_aio_create"}),
        config(aio("AIO_x", "/a")),
    ],
)
def test_a_damaged_configuration_is_refused(document: Any) -> None:
    with pytest.raises(StartError):
        parse_config(document)


def test_a_sparse_device_file_gets_its_holes_back(tmp_path: Path) -> None:
    path = tmp_path / "bdev"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(8 * CLUSTER_BYTES)
    device = Bdev(BdevConfig("AIO_h_0_1_0", path, Role.NONE), "uuid")
    try:
        extents = device.extents.allocate(3)
        device.take(extents)
        assert path.stat().st_blocks * 512 >= 3 * CLUSTER_BYTES
        device.give_back(extents)
        assert path.stat().st_blocks * 512 < CLUSTER_BYTES
        assert path.stat().st_size == 8 * CLUSTER_BYTES
    finally:
        device.close()


def test_a_device_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="gone"):
        Bdev(BdevConfig("AIO_h_0_1_0", tmp_path / "gone", Role.NONE), "uuid")
