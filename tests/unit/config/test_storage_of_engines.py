"""The storage of engines, out of the configuration."""

from pathlib import Path

from daos_control.config import server
from daos_control.config.storage import Hardware, engine_storages, system_database_dir
from daos_control.storage.api import BdevTier, Class, EngineStorage, NvmeOptions, Role, ScmTier
from unit.config.samples import document, nvme, parse, spoil

DATA = Path(__file__).parent / "data"


def test_ram_with_files() -> None:
    (storage,) = engine_storages(parse(document()))
    assert storage == EngineStorage(
        index=0,
        scm=ScmTier(Class.RAM, Path("/mnt/daos0"), size_gib=4),
        bdevs=(BdevTier(1, Class.FILE, ("/tmp/bdev0",), file_size_gib=8),),
        nvme=NvmeOptions(hotplug=(0, 255)),
    )


def test_persistent_memory_with_an_ssd() -> None:
    storages = engine_storages(server.load(DATA / "tcp.yml"))
    assert [storage.index for storage in storages] == [0, 1]
    assert storages[1].scm == ScmTier(Class.DCPM, Path("/mnt/daos1"), device=Path("/dev/pmem1"))
    assert storages[1].bdevs == (BdevTier(1, Class.NVME, ("0000:82:00.0",)),)


def test_metadata_on_ssds_with_all_options() -> None:
    first, second = engine_storages(server.load(DATA / "every_key.yml"))
    assert first.metadata_path == Path("/var/daos/meta")
    assert first.metadata_device == Path("/dev/sdb1")
    assert first.allow_config_override
    assert first.scm == ScmTier(Class.RAM, Path("/mnt/daos/1"), size_gib=16, numa_node=0, huge_pages=True)
    assert first.bdevs == (
        BdevTier(1, Class.NVME, ("0000:81:00.0", "0000:82:00.0"), roles=Role.DATA | Role.META | Role.WAL),
    )
    assert first.nvme == NvmeOptions(
        accel_engine="spdk",
        accel_options=1,
        rpc_server=True,
        rpc_address="/tmp/spdk.sock",
        auto_faulty=True,
        max_io_errors=100,
        max_checksum_errors=200,
        iobuf_small=16384,
        iobuf_large=2048,
    )
    assert second.scm.numa_node == 1
    assert second.bdevs[0].index == 1


def test_files_keep_the_order_in_which_they_are_written() -> None:
    (storage,) = engine_storages(parse(spoil(document(), {"engines.0.storage.1.bdev_list": ["/b", "/a"]})))
    assert storage.bdevs[0].devices == ("/b", "/a")


def test_the_node_that_an_engine_runs_on_decides_over_its_ram_disk_and_its_buses() -> None:
    config = parse(document(2))
    hardware = Hardware(numa_nodes=(None, 1), buses={0: (0, 0x7F), 1: (0x80, 0xFF)})
    first, second = engine_storages(config, hardware)
    assert (first.scm.numa_node, first.nvme.hotplug) == (None, (0, 0x7F))
    assert (second.scm.numa_node, second.nvme.hotplug) == (1, (0x80, 0xFF))


def test_buses_of_the_file_decide_before_those_of_the_node_and_vmd_before_both() -> None:
    tier = {**nvme("0000:81:00.0"), "bdev_busid_range": "0x80-0x8f"}
    config = parse(spoil(document(), {"engines.0.storage.1": tier}))
    hardware = Hardware(buses={0: (0, 1)})
    assert engine_storages(config, hardware)[0].nvme.hotplug == (0x80, 0x8F)
    assert engine_storages(config, Hardware(buses={0: (0, 1)}, vmd=True))[0].nvme.hotplug == (0, 255)


def test_disabled_hotplug_has_no_buses() -> None:
    assert engine_storages(parse(spoil(document(), {"disable_hotplug": True})))[0].nvme.hotplug is None


def test_the_check_of_the_nvme_configuration_is_only_skipped_with_a_path_for_metadata() -> None:
    tree = spoil(document(), {"control_metadata": {"allow_spdk_conf_override": True}})
    assert not engine_storages(parse(tree))[0].allow_config_override


def test_the_system_database_is_with_the_control_metadata_or_on_the_first_engine() -> None:
    assert system_database_dir(server.load(DATA / "mdonssd.yml")) == Path("/var/daos/config/daos_control")
    assert system_database_dir(parse(document(2))) == Path("/mnt/daos0")
    assert system_database_dir(parse({})) is None
