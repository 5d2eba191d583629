"""Shards on a real directory: space taken, found again, given back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daos_control.engine.bdev_extents import CLUSTER_BYTES
from daos_control.engine.errors import StartError
from daos_control.engine.shards import PAGE_BYTES, ShardSpec, ShardState, ShardStore, TargetUsage
from daos_control.engine.storage import Storage
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

UUID = "c659a01a-a5b9-4755-a2e7-06c2be50c8d1"
OTHER = "d659a01a-a5b9-4755-a2e7-06c2be50c8d1"
MIB = 1 << 20
SPEC = ShardSpec(UUID, 4 * MIB, 0, 4 * MIB, "attempt-1", 0, (0,))


class Home:
    """One engine's storage, with `devices` sparse files of 8 clusters each, by role bits."""

    def __init__(self, root: Path, *roles: int) -> None:
        self.scm = root / "scm"
        self.scm.mkdir()
        self.config: Path | None = None
        self.devices = [root / f"bdev{index}" for index in range(len(roles))]
        for device in self.devices:
            device.touch()
            with device.open("r+b") as file:
                file.truncate(8 * CLUSTER_BYTES)
        if roles:
            self.config = root / "control" / "daos_nvme.conf"
            self.config.parent.mkdir()
            calls = [
                {
                    "method": "bdev_aio_create",
                    "params": {"name": f"AIO_h_{n}_1_{role}", "filename": str(self.devices[n])},
                }
                for n, role in enumerate(roles)
            ]
            self.config.write_text(json.dumps({"subsystems": [{"subsystem": "bdev", "config": calls}]}))
        self.storage: Storage | None = None

    def start(self, targets: int = 2) -> ShardStore:
        self.stop()
        self.storage = Storage.open(self.scm, self.config)
        shards = ShardStore(self.storage, targets)
        shards.load()
        return shards

    def stop(self) -> None:
        if self.storage is not None:
            self.storage.close()
            self.storage = None

    @property
    def free_clusters(self) -> int:
        assert self.storage is not None
        return sum(device.extents.free_clusters for device in self.storage.devices)


Homes = Callable[..., Home]


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Homes]:
    made: list[Home] = []

    def make(*roles: int) -> Home:
        root = tmp_path / str(len(made))
        root.mkdir()
        made.append(Home(root, *roles))
        return made[-1]

    yield make
    for home in made:
        home.stop()


def status_of(call: Callable[..., object], *arguments: object) -> int:
    with pytest.raises(DaosError) as caught:
        call(*arguments)
    return int(caught.value.status)


def test_a_shard_takes_real_space_and_is_found_again(homes: Homes) -> None:
    home = homes()
    made = home.start().create(SPEC)
    files = sorted((home.scm / UUID).glob("vos-*"))
    assert [file.stat().st_size for file in files] == [2 * MIB, 2 * MIB]
    assert all(file.stat().st_blocks * 512 >= 2 * MIB for file in files)
    again = home.start()
    assert again.get(UUID) == made
    assert again.usage(UUID) == [TargetUsage(2 * MIB, 2 * MIB - PAGE_BYTES, 0, 0, 2 * MIB)] * 2
    again.commit(UUID)
    assert home.start().get(UUID).state is ShardState.LIVE


def test_extents_are_taken_in_turns_and_given_back(homes: Homes) -> None:
    home = homes(0, 0)
    shards = home.start(targets=3)
    shards.create(replace(SPEC, scm_bytes=3 * MIB, nvme_bytes=6 * CLUSTER_BYTES))
    assert home.free_clusters == 10
    assert [piece.device for piece in shards.get(UUID).data] == [home.storage.devices[n].uuid for n in (0, 1, 0)]
    shards = home.start(targets=3)
    assert home.free_clusters == 10
    assert shards.usage(UUID)[0].nvme_total == 2 * CLUSTER_BYTES
    assert shards.destroy(UUID)
    assert not shards.destroy(UUID)
    assert home.free_clusters == 16
    assert sum(device.stat().st_blocks for device in home.devices) * 512 < CLUSTER_BYTES
    assert home.start().all() == []


def test_too_little_space_leaves_nothing(homes: Homes) -> None:
    home = homes(0)
    shards = home.start()
    before = sorted(home.scm.rglob("*"))
    for spec in (
        replace(SPEC, nvme_bytes=10 * CLUSTER_BYTES),
        replace(SPEC, scm_bytes=1 << 60, nvme_bytes=2 * CLUSTER_BYTES),
    ):
        assert status_of(shards.create, spec) == Status.NOSPACE
    assert sorted(home.scm.rglob("*")) == before
    assert home.free_clusters == 8
    assert shards.get(UUID) is None


def test_block_devices_that_are_not_there_have_no_space(homes: Homes) -> None:
    assert status_of(homes().start().create, replace(SPEC, nvme_bytes=2 * CLUSTER_BYTES)) == Status.NOSPACE


@pytest.mark.parametrize("spec", [replace(SPEC, scm_bytes=4096), replace(SPEC, nvme_bytes=CLUSTER_BYTES)])
def test_sizes_below_one_unit_per_target_are_refused(homes: Homes, spec: ShardSpec) -> None:
    home = homes(0)
    assert status_of(home.start().create, spec) == Status.INVAL
    assert home.free_clusters == 8


def test_a_prepared_shard_is_taken_over_by_the_next_attempt_of_the_same_size(homes: Homes) -> None:
    home = homes()
    shards = home.start()
    shards.create(SPEC)
    assert shards.create(replace(SPEC, attempt="attempt-2")).spec.attempt == "attempt-2"
    assert status_of(shards.create, replace(SPEC, scm_bytes=8 * MIB)) == Status.EXIST
    shards.commit(UUID)
    assert status_of(shards.create, replace(SPEC, attempt="attempt-3")) == Status.EXIST
    assert home.start().get(UUID).spec.attempt == "attempt-2"


def test_leftovers_are_swept_and_strangers_are_left_alone(homes: Homes) -> None:
    home = homes()
    home.start().create(SPEC)
    home.stop()
    for leftover in ("NEWBORNS", "ZOMBIES"):
        (home.scm / leftover / OTHER).mkdir()
        (home.scm / leftover / OTHER / "vos-0").write_bytes(b"x")
    (home.scm / OTHER).mkdir()
    (home.scm / OTHER / "rdb-pool").write_bytes(b"x")
    shards = home.start()
    assert [shard.spec.uuid for shard in shards.all()] == [UUID]
    assert not list((home.scm / "NEWBORNS").iterdir())
    assert not list((home.scm / "ZOMBIES").iterdir())
    assert (home.scm / OTHER / "rdb-pool").exists()
    assert status_of(shards.create, replace(SPEC, uuid=OTHER)) == Status.EXIST
    assert (home.scm / OTHER / "rdb-pool").exists()


def test_a_damaged_record_hides_its_pool_and_no_other(homes: Homes) -> None:
    home = homes()
    shards = home.start()
    shards.create(SPEC)
    shards.create(replace(SPEC, uuid=OTHER))
    (home.scm / OTHER / "shard.json").write_text('{"spec": ')
    assert [shard.spec.uuid for shard in home.start().all()] == [UUID]
    assert (home.scm / OTHER / "vos-0").exists()


def test_with_metadata_on_ssd_target_files_come_back_after_the_memory_is_gone(homes: Homes) -> None:
    home = homes(6, 1)
    shards = home.start()
    assert shards.md_on_ssd
    shards.create(replace(SPEC, scm_bytes=MIB, meta_bytes=4 * CLUSTER_BYTES, nvme_bytes=2 * CLUSTER_BYTES))
    shards.commit(UUID)
    usage = shards.usage(UUID)[0]
    assert (usage.scm_total, usage.nvme_total, usage.file_bytes) == (2 * CLUSTER_BYTES, CLUSTER_BYTES, MIB // 2)
    home.stop()
    for path in sorted(home.scm.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    shards = home.start()
    assert shards.usage(UUID)[0] == usage
    assert home.free_clusters == 16 - 6
    shards.destroy(UUID)
    assert home.free_clusters == 16
    assert home.start().all() == []


def test_a_storage_directory_serves_one_engine(homes: Homes, tmp_path: Path) -> None:
    home = homes()
    home.start()
    with pytest.raises(StartError, match="in use by another engine"):
        Storage.open(home.scm, None)
    with pytest.raises(StartError, match="missing"):
        Storage.open(tmp_path / "nowhere", None)


def test_data_of_daos_itself_is_not_touched(homes: Homes) -> None:
    home = homes()
    (home.scm / "daos_sys").mkdir()
    (home.scm / "daos_sys" / "sys_db").write_bytes(b"x")
    with pytest.raises(StartError, match="DAOS's own engine"):
        home.start()


def test_incarnations_and_device_uuids_are_kept_over_starts(homes: Homes) -> None:
    home = homes(0)
    home.start()
    first = (home.storage.incarnation, home.storage.devices[0].uuid)
    home.start()
    assert home.storage.incarnation > first[0]
    assert home.storage.devices[0].uuid == first[1]
