"""daos_nvme.conf: exact bytes, and a reader that takes nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import nvme_config
from daos_control.storage.api import BdevTier, Class, EngineStorage, NvmeOptions, Role, ScmTier

SCM = ScmTier(Class.RAM, Path("/mnt/daos0"), size_gib=4)


def storage(*tiers: BdevTier, options: NvmeOptions | None = None) -> EngineStorage:
    return EngineStorage(0, SCM, tiers, nvme=options or NvmeOptions())


FILES = BdevTier(1, Class.FILE, ("/data/a", "/data/b"), 16)

# As DAOS's own server writes it.
FILES_TEXT = """{
  "daos_data": {
    "config": []
  },
  "subsystems": [
    {
      "subsystem": "bdev",
      "config": [
        {
          "params": {
            "bdev_io_pool_size": 65536,
            "bdev_io_cache_size": 256
          },
          "method": "bdev_set_options"
        },
        {
          "params": {
            "transport_retry_count": 4,
            "timeout_us": 0,
            "nvme_adminq_poll_period_us": 100000,
            "action_on_timeout": "none",
            "nvme_ioq_poll_period_us": 0
          },
          "method": "bdev_nvme_set_options"
        },
        {
          "params": {
            "block_size": 4096,
            "name": "AIO_host.example_0_1_0",
            "filename": "/data/a"
          },
          "method": "bdev_aio_create"
        },
        {
          "params": {
            "block_size": 4096,
            "name": "AIO_host.example_1_1_0",
            "filename": "/data/b"
          },
          "method": "bdev_aio_create"
        },
        {
          "params": {
            "enable": false,
            "period_us": 0
          },
          "method": "bdev_nvme_set_hotplug"
        }
      ]
    }
  ]
}"""


def test_the_file_for_two_files_is_written_byte_for_byte() -> None:
    assert nvme_config.encode(storage(FILES), "host.example").decode() == FILES_TEXT


def document(engine: EngineStorage) -> Any:
    return json.loads(nvme_config.encode(engine, "h"))


def test_names_tell_host_index_tier_and_roles() -> None:
    tiers = (
        BdevTier(1, Class.NVME, ("0000:81:00.0",), roles=Role.WAL),
        BdevTier(2, Class.NVME, ("0000:82:00.0", "0000:83:00.0"), roles=Role.META | Role.DATA),
    )
    entries = document(storage(*tiers))["subsystems"][0]["config"]
    attached = [entry["params"] for entry in entries if entry["method"] == "bdev_nvme_attach_controller"]
    assert attached == [
        {"trtype": "PCIe", "name": "Nvme_h_0_1_4", "traddr": "0000:81:00.0"},
        {"trtype": "PCIe", "name": "Nvme_h_0_2_3", "traddr": "0000:82:00.0"},
        {"trtype": "PCIe", "name": "Nvme_h_1_2_3", "traddr": "0000:83:00.0"},
    ]


def test_a_kernel_device_keeps_its_own_block_size() -> None:
    entries = document(storage(BdevTier(1, Class.KDEV, ("/dev/sdb",))))["subsystems"][0]["config"]
    assert entries[2]["params"] == {"block_size": 0, "name": "AIO_h_0_1_0", "filename": "/dev/sdb"}


def test_every_option_stands_in_its_place() -> None:
    options = NvmeOptions(
        hotplug=(0x80, 0x8F),
        vmd=True,
        accel_engine="spdk",
        accel_options=3,
        rpc_server=True,
        rpc_address="/tmp/spdk.sock",
        auto_faulty=True,
        max_io_errors=10,
        max_checksum_errors=20,
        iobuf_small=0,
        iobuf_large=64,
    )
    found = document(storage(BdevTier(1, Class.NVME, ("0000:81:00.0",)), options=options))
    assert found["daos_data"]["config"] == [
        {"params": {"accel_engine": "spdk", "accel_opts": 3}, "method": "accel_props"},
        {"params": {"enable": True, "sock_addr": "/tmp/spdk.sock"}, "method": "spdk_rpc_srv"},
        {"params": {"enable": True, "max_io_errs": 10, "max_csum_errs": 20}, "method": "auto_faulty"},
        {"params": {"begin": 128, "end": 143}, "method": "hotplug_busid_range"},
    ]
    assert [subsystem["subsystem"] for subsystem in found["subsystems"]] == ["bdev", "vmd", "iobuf"]
    assert found["subsystems"][0]["config"][-1] == {
        "params": {"enable": True, "period_us": 5000000},
        "method": "bdev_nvme_set_hotplug",
    }
    assert found["subsystems"][2]["config"][0]["params"] == {"large_pool_count": 64}


def test_there_is_no_file_without_devices() -> None:
    assert not nvme_config.needed(storage())
    assert not nvme_config.needed(storage(BdevTier(1, Class.NVME, ())))
    assert nvme_config.needed(storage(FILES))


def test_what_is_written_is_read_and_has_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "daos_nvme.conf"
    options = NvmeOptions(hotplug=(0, 255), accel_engine="dml", accel_options=1, iobuf_small=1)
    nvme_config.write(path, nvme_config.encode(storage(FILES, options=options), 'quo"te<&>ä'))
    nvme_config.check(path)
    assert path.stat().st_mode & 0o777 == 0o664
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"bdev_aio_create"', '"bdev_malloc_create"'),
        ('"block_size"', '"blok_size"'),
        ('"block_size": 4096', '"block_size": "4096"'),
        ('"block_size": 4096', '"block_size": true'),
        ('"block_size": 4096', '"block_size": -1'),
        ('"daos_data"', '"daos"'),
        ('"config": []', '"config": {}'),
        ('"config": []', '"config": [], "config": []'),
        ("}", ""),
        ("{", ""),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "daos_nvme.conf"
    path.write_text(FILES_TEXT.replace(old, new, 1))
    with pytest.raises(Fault) as caught:
        nvme_config.check(path)
    assert caught.value.code == Code.SPDK_INVALID_CONFIGURATION


def test_a_missing_file_is_not_an_unreadable_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        nvme_config.check(tmp_path / "daos_nvme.conf")
