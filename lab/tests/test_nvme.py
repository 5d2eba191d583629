"""NVMe namespaces behind the kernel's driver: class kdev."""

import os
from pathlib import Path

import pytest

from daos_control.storage import devices, mounts, nvme_config, signatures
from daos_control.storage.api import BdevResult, BdevTier, Class, EngineStorage, Role, ScmTier
from daos_control.storage.manager import StorageManager
from lab.hardware import CONTROLLERS, MIB, NvmeController
from lab.tests import nvme
from lab.tests.commands import run

pytestmark = pytest.mark.usefixtures("blank_nvme")

FIRST, SECOND = CONTROLLERS


def kdev(area: Path, *found: Path) -> EngineStorage:
    names = tuple(os.fspath(device) for device in found)
    tier = BdevTier(1, Class.KDEV, names, roles=Role.DATA | Role.META | Role.WAL)
    return EngineStorage(
        0, ScmTier(Class.RAM, area / "daos0", size_gib=1), (tier,), metadata_path=area / "metadata"
    )


def reason(result: BdevResult) -> str:
    """Why a device was not formatted; empty where it was."""
    return result.error.description if result.error else ""


def all_namespaces() -> list[Path]:
    return [nvme.block_device(c, namespace.nsid) for c in CONTROLLERS for namespace in c.namespaces]


@pytest.mark.asyncio
async def test_blank_namespaces_of_both_block_sizes_are_accepted_and_written_into_daos_nvme_conf(
    area: Path, manager: StorageManager
) -> None:
    storage = kdev(area, *all_namespaces())

    results = await manager.format_bdevs(storage, force=False)

    assert {result.device: reason(result) for result in results} == {os.fspath(d): "" for d in all_namespaces()}
    storage.metadata_dir.mkdir(parents=True)
    await manager.write_nvme_config(storage)
    await manager.check_nvme_config(storage)
    nvme_config.check(storage.nvme_config_path)
    text = storage.nvme_config_path.read_text()
    assert all(f'"filename": "{device}"' in text for device in all_namespaces())


@pytest.mark.asyncio
async def test_only_the_device_with_foreign_content_is_refused_and_not_touched(
    area: Path, manager: StorageManager
) -> None:
    blank, foreign = nvme.block_device(FIRST, 1), nvme.block_device(FIRST, 2)
    run("mkfs.ext4", "-q", "-L", "precious", os.fspath(foreign))
    before = signatures.probe(foreign)

    results = {r.device: r for r in await manager.format_bdevs(kdev(area, blank, foreign), force=False)}

    assert reason(results[os.fspath(blank)]) == ""
    assert "precious" in reason(results[os.fspath(foreign)])
    assert signatures.probe(foreign) == before
    run("e2fsck", "-f", "-n", os.fspath(foreign))

    (result,) = await manager.format_bdevs(kdev(area, foreign), force=True)
    assert reason(result) == ""
    assert signatures.probe(foreign) == ()


@pytest.mark.asyncio
async def test_a_partition_table_is_refused_and_its_partitions_stay(area: Path, manager: StorageManager) -> None:
    device = nvme.block_device(SECOND, 1)
    run("sh", "-c", f"printf 'label: gpt\\n,64M,L\\n' | sfdisk --quiet {device}")
    assert "gpt" in run("blkid", "-p", "-o", "value", "-s", "PTTYPE", os.fspath(device))

    (result,) = await manager.format_bdevs(kdev(area, device), force=False)

    assert "partition table" in reason(result)
    assert "64M" in run("sfdisk", "--list", os.fspath(device))


@pytest.mark.asyncio
@pytest.mark.parametrize("force", [False, True])
async def test_a_mounted_namespace_is_refused_even_with_force(
    area: Path, manager: StorageManager, force: bool
) -> None:
    device = nvme.block_device(SECOND, 2)
    run("mkfs.ext4", "-q", os.fspath(device))
    place = area / "in use"
    place.mkdir()
    mounts.mount(os.fspath(device), place, "ext4", 0, "")
    (place / "file").write_text("precious")

    (result,) = await manager.format_bdevs(kdev(area, device), force=force)

    assert os.fspath(place) in reason(result)
    assert (place / "file").read_text() == "precious"


@pytest.mark.asyncio
async def test_a_device_that_vanished_is_one_clear_fault_and_is_accepted_when_it_is_back(
    area: Path, manager: StorageManager
) -> None:
    device = nvme.block_device(SECOND, 1)
    identity = devices.inspect(device).identity
    nvme.unbind(SECOND)

    (result,) = await manager.format_bdevs(kdev(area, device), force=False)
    assert "does not exist" in reason(result)

    nvme.bind(SECOND)
    back = nvme.block_device(SECOND, 1)
    assert devices.inspect(back).identity == identity
    (result,) = await manager.format_bdevs(kdev(area, back), force=False)
    assert (result.device, reason(result)) == (os.fspath(back), "")


def test_each_namespace_has_an_identity_of_its_own_and_its_size() -> None:
    found = [devices.inspect(device) for device in all_namespaces()]
    assert len({device.identity for device in found}) == len(found)
    sizes = [namespace.size_mib * MIB for c in CONTROLLERS for namespace in c.namespaces]
    assert [device.size_bytes for device in found] == sizes


@pytest.mark.parametrize("controller", CONTROLLERS, ids=lambda controller: controller.serial)
@pytest.mark.parametrize("driver", ["uio_pci_generic"])
def test_a_controller_goes_to_the_driver_that_spdk_needs_and_back(controller: NvmeController, driver: str) -> None:
    device = nvme.PCI / controller.pci_address
    nvme.unbind(controller)
    (device / "driver_override").write_text(driver)
    Path("/sys/bus/pci/drivers_probe").write_text(controller.pci_address)
    assert (device / "driver").resolve().name == driver

    Path(f"/sys/bus/pci/drivers/{driver}/unbind").write_text(controller.pci_address)
    nvme.bind(controller)
    assert (device / "driver").resolve().name == "nvme"


@pytest.mark.asyncio
async def test_class_nvme_without_spdk_says_what_is_missing(area: Path, manager: StorageManager) -> None:
    tier = BdevTier(1, Class.NVME, (FIRST.pci_address,), roles=Role.DATA)
    storage = EngineStorage(0, ScmTier(Class.RAM, area / "daos0", size_gib=1), (tier,))

    (result,) = await manager.format_bdevs(storage, force=False)

    assert "SPDK" in reason(result)
