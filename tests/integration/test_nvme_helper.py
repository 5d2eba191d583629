"""NVMe through the real helper, with a program that behaves as SPDK's and a tree that stands for this host's."""

import asyncio
import json
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import BdevFormat, BdevFormatReply, BdevProperties
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.nvme.messages import BdevPrepare, BdevScan
from daos_control.storage.nvme.operations import Nvme
from fakes.fake_nvme_host import VMD, Tree

pytestmark = [pytest.mark.root, pytest.mark.asyncio]

A, B, C = "0000:81:00.0", "0000:82:00.0", "0000:83:00.0"
BEHIND = "5d0505:01:00.0"
FAKE = Path(__file__).parent.parent / "fakes" / "fake_spdk_tgt.py"
MIB = 1 << 20


class Site:
    """A host with two devices for programs, `A` with two namespaces and `B` with one."""

    def __init__(self, directory: Path) -> None:
        self.tree = Tree(directory / "root")
        self.directory = directory
        self.world: dict[str, Any] = {
            "controllers": {
                A: self.controller("a", (1, 512, 16), (2, 4096, 8)),
                B: self.controller("b", (1, 512, 8)),
            },
            "behaviour": {},
        }
        self.tree.add(A, "vfio-pci")
        self.tree.add(B, "vfio-pci")

    def controller(self, name: str, *namespaces: tuple[int, int, int]) -> dict[str, Any]:
        listed = []
        for number, block, mib in namespaces:
            file = self.directory / f"{name}{number}"
            with file.open("wb") as data:
                data.truncate(mib * MIB)
            listed.append({"id": number, "block": block, "file": str(file)})
        return {"model": f"Model {name}", "serial": f"S{name}", "revision": "1.0", "namespaces": listed}

    def namespace(self, name: str) -> Path:
        return self.directory / name

    def save(self) -> None:
        (self.directory / "world.json").write_text(json.dumps(self.world))

    def arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "log.json").read_text())
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "spdk_tgt"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {FAKE} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SPDK", str(tmp_path / "world.json"))
    monkeypatch.setenv("FAKE_SPDK_LOG", str(tmp_path / "log.json"))
    monkeypatch.setenv("DAOS_CONTROL_TEST_ROOT", str(tmp_path / "root"))
    found = Site(tmp_path)
    found.save()
    return found


@pytest.fixture
def nvme(site: Site) -> Nvme:
    return Nvme(HelperClient())


async def format_(*devices: str, force: bool = False, vmd: bool = False) -> dict[str, int | None]:
    """The outcome for each device: None where it went well, else the fault's code."""
    properties = BdevProperties("nvme", devices)
    request = BdevFormat(properties=properties, owner_uid=0, owner_gid=0, force=force, vmd_enabled=vmd)
    reply: BdevFormatReply = await HelperClient().call(request)
    return {name: answer.error and answer.error.code for name, answer in reply.device_responses.items()}


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def gone(pid: int) -> bool:
    """Whether a process ends, or is left for init to bury, within some seconds."""
    async with asyncio.timeout(5):
        while True:
            try:
                if state_of(pid) == "Z":
                    return True
            except (FileNotFoundError, ProcessLookupError):
                return True
            await asyncio.sleep(0)


async def test_a_scan_tells_namespaces_health_and_link_and_leaves_nothing_running(site: Site, nvme: Nvme) -> None:
    first, second = await nvme.scan()
    assert (first.pci_addr, first.model, first.serial, first.fw_rev) == (A, "Model a", "Sa", "1.0")
    assert [(ns.id, ns.size) for ns in first.namespaces] == [(1, 16 * MIB), (2, 8 * MIB)]
    assert first.health_stats is not None
    assert (first.health_stats.temperature, first.health_stats.ctrl_busy_time) == (303, 5)
    assert (first.health_stats.link_max_speed, first.health_stats.link_neg_width) == (8e9, 4)
    assert second.pci_addr == B
    ran = site.arguments()
    assert await gone(ran["pid"])
    assert not Path(ran["arguments"][ran["arguments"].index("-r") + 1]).parent.exists()


async def test_only_wanted_devices_are_given_to_spdk(site: Site, nvme: Nvme) -> None:
    assert [device.pci_addr for device in await nvme.scan([B])] == [B]
    words = site.arguments()["arguments"]
    assert [words[i + 1] for i, word in enumerate(words) if word == "-A"] == [B]


async def test_wanted_devices_that_cannot_be_had_are_fault_304_with_the_reason(site: Site, nvme: Nvme) -> None:
    site.tree.add(C, "nvme")
    with pytest.raises(Fault, match=r"83:00.0 \(it is bound to the driver nvme") as caught:
        await nvme.scan([A, C])
    assert caught.value.code == Code.BDEV_NOT_FOUND
    with pytest.raises(Fault, match=r"99:00.0 \(this host has no such"):
        await nvme.scan(["0000:99:00.0"])
    with pytest.raises(Fault) as malformed:
        await nvme.scan(["81:00.0;reboot"])
    assert malformed.value.code == Code.BDEV_BAD_PCI_ADDRESS


async def test_a_device_that_vanished_is_left_out_of_a_full_scan(site: Site, nvme: Nvme) -> None:
    del site.world["controllers"][A]
    site.save()
    assert [device.pci_addr for device in await nvme.scan()] == [B]


async def test_devices_behind_a_vmd_are_found_where_vmd_is_wanted(site: Site, nvme: Nvme) -> None:
    site.tree.add("0000:5d:05.5", "vfio-pci", kind=VMD, node=0)
    site.world["controllers"][BEHIND] = site.controller("c", (1, 512, 8))
    site.save()
    assert [device.pci_addr for device in await nvme.scan()] == [A, B]
    (found,) = await nvme.scan(["0000:5d:05.5"], vmd=True)
    assert (found.pci_addr, found.pci_type, found.vendor_id) == (BEHIND, "vmd", "0x8086")
    assert await format_("0000:5d:05.5", vmd=True) == {BEHIND: None}


async def test_a_format_makes_all_namespaces_blank(site: Site) -> None:
    blob = b"SPDKBLOB" + bytes(48) + bytes(range(0x90, 0xA0))  # as DAOS leaves it
    for name in ("a1", "a2", "b1"):
        with site.namespace(name).open("r+b") as file:
            file.write(blob)
    assert await format_(A, B) == {A: None, B: None}
    for name in ("a1", "a2", "b1"):
        assert site.namespace(name).read_bytes()[:4096] == bytes(4096)
    assert await format_(A, B) == {A: None, B: None}


@pytest.mark.parametrize("write_zeroes", [True, False])
async def test_foreign_content_of_one_namespace_keeps_the_device_untouched_until_forced(
    site: Site, write_zeroes: bool
) -> None:
    site.world["write_zeroes"] = write_zeroes
    site.world["mdts"] = 1
    site.save()
    with site.namespace("a2").open("r+b") as file:  # swap space, in the page size of 4096
        file.seek(1024)
        file.write((1).to_bytes(4, "little") + (100).to_bytes(4, "little"))
        file.seek(4086)
        file.write(b"SWAPSPACE2")
    with site.namespace("a1").open("r+b") as file:
        file.write(b"SPDKBLOB")
    before = [site.namespace(name).read_bytes() for name in ("a1", "a2")]
    assert await format_(A, B) == {A: Code.BDEV_FORMAT_FAILURE, B: None}
    assert [site.namespace(name).read_bytes() for name in ("a1", "a2")] == before
    assert await format_(A, force=True) == {A: None}
    assert site.namespace("a2").read_bytes()[:8192] == bytes(8192)


async def test_a_partition_table_on_a_namespace_with_large_sectors_is_seen(site: Site) -> None:
    with site.namespace("a2").open("r+b") as file:
        file.seek(446 + 4)
        file.write(b"\x83")
        file.seek(446 + 8)
        file.write((256).to_bytes(4, "little") + (1000).to_bytes(4, "little"))
        file.seek(510)
        file.write(b"\x55\xaa")
    assert await format_(A) == {A: Code.BDEV_FORMAT_FAILURE}


async def test_a_namespace_that_refuses_commands_fails_its_device_only(site: Site) -> None:
    site.world["controllers"][A]["namespaces"][1]["broken"] = True
    site.save()
    assert await format_(A, B) == {A: Code.BDEV_FORMAT_FAILURE, B: None}


async def test_a_device_bound_to_the_kernel_is_not_formatted(site: Site) -> None:
    site.tree.add(C, "nvme")
    assert await format_(C, "0000:99:00.0") == {C: 302, "0000:99:00.0": 302}


@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_a_format_killed_anywhere_is_finished_by_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    for name in ("a1", "a2"):
        with site.namespace(name).open("r+b") as file:
            file.write(b"SPDKBLOB")
    with monkeypatch.context() as patch:
        patch.setenv("DAOS_CONTROL_TEST_KILL_AT", f"bdev_format:wipe:{moment}")
        with pytest.raises(Fault, match="killed by signal 9"):
            await format_(A)
    assert await gone(site.arguments()["pid"])
    assert await format_(A) == {A: None}
    assert site.namespace("a1").read_bytes()[:4096] == bytes(4096)


@pytest.mark.parametrize(
    ("method", "behaviour", "code"),
    [
        ("start", "die", Code.SPDK_BINDING_RET_NULL),
        ("framework_start_init", "error", Code.SPDK_BINDING_FAILED),
        ("framework_start_init", "garbage", Code.SPDK_BINDING_RET_NULL),
        ("framework_start_init", "die", Code.SPDK_BINDING_RET_NULL),
        ("bdev_nvme_attach_controller", "close", Code.SPDK_BINDING_RET_NULL),
        ("bdev_nvme_attach_controller", "shape", Code.SPDK_BINDING_RET_NULL),
        ("bdev_get_bdevs", "shape", Code.SPDK_BINDING_RET_NULL),
        ("bdev_get_bdevs", "stray", Code.SPDK_BINDING_RET_NULL),
        ("bdev_nvme_get_controller_health_info", "error", Code.SPDK_CTRLR_NO_HEALTH),
        ("bdev_nvme_get_controller_health_info", "shape", Code.SPDK_CTRLR_NO_HEALTH),
    ],
)
async def test_a_misbehaving_spdk_becomes_a_clear_fault(
    site: Site, nvme: Nvme, method: str, behaviour: str, code: Code
) -> None:
    site.world["behaviour"] = {method: behaviour}
    site.save()
    with pytest.raises(Fault) as caught:
        await nvme.scan()
    assert caught.value.code == code
    assert await gone(site.arguments()["pid"])


async def test_a_helper_that_is_given_up_takes_spdk_with_it(site: Site) -> None:
    site.world["behaviour"] = {"framework_start_init": "hang"}
    site.save()
    with pytest.raises(Fault, match="did not finish BdevScan"):
        await HelperClient(limit_s=2).call(BdevScan())
    assert await gone(site.arguments()["pid"])


async def test_without_spdk_there_is_one_fault_that_says_what_to_install(
    site: Site, nvme: Nvme, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.directory / "bin/spdk_tgt").unlink()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for work in (nvme.scan(), nvme.firmware_query(), format_(A)):
        with pytest.raises(Fault, match="spdk_tgt is not installed") as caught:
            await work
        assert caught.value.code == Code.MISSING_SOFTWARE_DEPENDENCY
        assert "Install SPDK" in caught.value.resolution


async def test_firmware_is_told_and_updated_by_filters(site: Site, nvme: Nvme) -> None:
    image = site.directory / "image"
    image.write_text("2.0\n")
    assert [device.pci_addr for device in await nvme.firmware_query(model="MODEL B")] == [B]
    assert await nvme.firmware_query(revision="9") == ()
    (result,) = await nvme.firmware_update(str(image), model="model a", revision="1.0")
    assert (result.device.pci_addr, result.error) == (A, "")
    assert [device.fw_rev for device in await nvme.firmware_query()] == ["2.0", "1.0"]


async def test_a_device_that_refuses_firmware_says_so_and_the_others_are_updated(site: Site, nvme: Nvme) -> None:
    image = site.directory / "image"
    image.write_text("2.0\n")
    site.world["controllers"][A]["locked"] = True
    site.save()
    first, second = await nvme.firmware_update(str(image))
    assert "firmware download failed" in first.error
    assert (second.device.pci_addr, second.error) == (B, "")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"devices": (A, A)}, Code.BDEV_DUPLICATES_IN_DEVICE_LIST),
        ({"model": "none"}, Code.BDEV_NO_DEVICES_MATCH_FILTER),
        ({"devices": ("0000:99:00.0",)}, Code.BDEV_NOT_FOUND),
        ({"devices": ("",)}, Code.BDEV_BAD_PCI_ADDRESS),
    ],
)
async def test_bad_choices_of_firmware_updates_are_faults(
    site: Site, nvme: Nvme, options: Mapping[str, Any], code: Code
) -> None:
    image = site.directory / "image"
    image.write_text("2.0\n")
    with pytest.raises(Fault) as caught:
        await nvme.firmware_update(str(image), **options)
    assert caught.value.code == code


async def test_prepare_binds_and_allocates_and_reset_gives_back(site: Site, nvme: Nvme) -> None:
    site.tree.add(C, "nvme", disk="nvme0n1")
    with site.tree.kernel():
        request = BdevPrepare(pci_allow_list=C, target_user="nobody", huge_nodes="nodes_hp[0]=128")
        await nvme.prepare(request)
        assert site.tree.driver(C) == "vfio-pci"
        assert (site.tree.pages(0) / "nr_hugepages").read_text().strip() == "128"
        group = (site.tree.device(C) / "iommu_group").readlink().name
        owned = [site.tree.root / "dev/vfio" / group, site.tree.root / "dev/hugepages"]
        assert all(path.owner() == "nobody" for path in owned)
        await nvme.prepare(request)  # again: nothing to do
        await nvme.reset(request)
        assert site.tree.driver(C) == "nvme"
    assert site.tree.driver(A) == "vfio-pci"


async def test_prepare_refuses_a_mounted_device_and_changes_nothing(site: Site, nvme: Nvme) -> None:
    site.tree.add(C, "nvme", disk="nvme0n1")
    site.tree.mount("259:103", "/", "/dev/nvme0n1p1")
    with pytest.raises(Fault, match="nvme0n1p1 is mounted at /") as caught:
        await nvme.prepare(BdevPrepare(pci_allow_list=C, target_user="root", huge_nodes="nodes_hp[0]=128"))
    assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    assert site.tree.driver(C) == "nvme"
    assert (site.tree.pages(0) / "nr_hugepages").read_text().strip() == "0"


async def test_pages_alone_leave_devices_alone(site: Site, nvme: Nvme) -> None:
    site.tree.add(C, "nvme")
    await nvme.prepare(BdevPrepare(pages_only=True, huge_nodes="nodes_hp[0]=64", target_user="root"))
    assert site.tree.driver(C) == "nvme"
    assert (site.tree.pages(0) / "nr_hugepages").read_text().strip() == "64"


async def test_cleaning_removes_what_dead_programs_left(site: Site, nvme: Nvme) -> None:
    (site.tree.root / "dev/hugepages/spdk_pid4711map_0").touch()
    (site.tree.root / f"var/tmp/spdk_pci_lock_{A}").touch()
    reply = await nvme.clean()
    assert reply is not None
    assert reply.nr_hugepages_removed == 1
    assert [Path(path).name for path in reply.lockfiles_removed] == [f"spdk_pci_lock_{A}"]


async def test_others_than_root_prepare_devices_for_themselves_only(site: Site) -> None:
    request = protocol.encode_request(BdevPrepare(target_user="root"))
    asker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "daos_control.cli.helper"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"SUDO_UID": str(pwd.getpwnam("nobody").pw_uid)},
    )
    output, _ = await asker.communicate(request)
    assert asker.returncode == 1
    assert b"does not serve" in output
