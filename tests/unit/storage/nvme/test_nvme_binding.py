"""Which devices change drivers: over snapshots, and over a tree that looks like /sys."""

import subprocess
import sys
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.nvme import binding, host, kernel
from daos_control.storage.nvme.binding import Choice
from daos_control.storage.nvme.kernel import Kernel
from fakes.fake_nvme_host import VMD, Tree

A, B, C = "0000:81:00.0", "0000:82:00.0", "0000:83:00.0"
VMD_ADDRESS = "0000:5d:05.5"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "root")


class InProcessKernel(Kernel):
    """Binds as soon as it is asked."""

    def __init__(self, tree: Tree, refuse: str = "") -> None:
        super().__init__(tree.root)
        self.tree = tree
        self.refuse = refuse
        self.loaded: list[str] = []

    def write(self, path: str, text: str) -> None:
        super().write(path, text)
        if path == "sys/bus/pci/drivers_probe":
            self.tree.probe(text, refuse=self.refuse)

    def load(self, module: str) -> None:
        self.loaded.append(module)


def prepare(
    tree: Tree, allowed: str = "", blocked: str = "", *, vmd: bool = False, root: bool = True
) -> binding.Plan:
    choice = Choice.of(allowed, blocked, vmd=vmd)
    return binding.plan_prepare(host.snapshot(tree.root), choice, disable_vfio=False, target_is_root=root)


def rebound(plan: binding.Plan) -> list[tuple[str, str, str]]:
    return [(str(rebind.address), rebind.old, rebind.new) for rebind in plan.rebinds]


def test_all_free_devices_go_to_vfio_and_mounted_ones_stay(tree: Tree) -> None:
    tree.add(A, disk="nvme0n1")
    tree.add(B, disk="nvme1n1")
    tree.add(C, "")
    tree.mount("259:2", "/data", "/dev/nvme1n1")
    plan = prepare(tree)
    assert rebound(plan) == [(A, "nvme", "vfio-pci"), (C, "", "vfio-pci")]
    assert plan.skipped == (f"{B}: nvme1n1 is mounted at /data",)


@pytest.mark.parametrize("use", ["whole disk", "partition", "root by source", "swap", "holder", "several paths"])
def test_a_device_in_use_is_never_in_a_plan_and_named_is_fault_103(tree: Tree, use: str) -> None:
    tree.add(A, disk="" if use == "several paths" else "nvme0n1")
    if use == "several paths":
        tree.add_disk(A, "nvme0n1", 1, path="nvme0c1n1")
        tree.mount("259:1", "/", "/dev/nvme0n1")
    elif use == "whole disk":
        tree.mount("259:1", "/home", "/dev/nvme0n1")
    elif use == "partition":
        tree.mount("259:101", "/boot", "/dev/nvme0n1p1")
    elif use == "root by source":
        tree.mount("0:33", "/", "/dev/nvme0n1p1")  # btrfs, whose device has a number of its own
    elif use == "swap":
        with (tree.root / "proc/swaps").open("a") as swaps:
            swaps.write("/dev/nvme0n1p1 partition 1024 0 -2\n")
    else:
        (tree.root / "sys/class/block/nvme0n1p1/holders/dm-0").touch()
    assert prepare(tree).rebinds == ()
    with pytest.raises(Fault) as caught:
        prepare(tree, A)
    assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED


def test_excluded_devices_are_left_alone_also_when_they_are_allowed(tree: Tree) -> None:
    tree.add(A)
    tree.add(B)
    assert rebound(prepare(tree, f"{A} {B}", B)) == [(A, "nvme", "vfio-pci")]
    assert rebound(prepare(tree, "", f"{A},{B}")) == []


def test_a_named_device_that_is_not_there_is_fault_304(tree: Tree) -> None:
    tree.add(A)
    with pytest.raises(Fault, match=B) as caught:
        prepare(tree, f"{A} {B}")
    assert caught.value.code == Code.BDEV_NOT_FOUND


def test_without_iommu_root_gets_uio_and_others_fault_311(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "bare", iommu=False)
    tree.add(A)
    assert rebound(prepare(tree)) == [(A, "nvme", "uio_pci_generic")]
    with pytest.raises(Fault) as caught:
        prepare(tree, root=False)
    assert caught.value.code == Code.BDEV_NO_IOMMU


def test_vfio_disabled_is_for_root_only(tree: Tree) -> None:
    tree.add(A)
    found = host.snapshot(tree.root)
    plan = binding.plan_prepare(found, Choice(), disable_vfio=True, target_is_root=True)
    assert rebound(plan) == [(A, "nvme", "uio_pci_generic")]
    with pytest.raises(Fault) as caught:
        binding.plan_prepare(found, Choice(), disable_vfio=True, target_is_root=False)
    assert caught.value.code == Code.BDEV_NON_ROOT_VFIO_DISABLE


def test_a_vmd_is_prepared_only_where_vmd_is_wanted_and_nothing_behind_it_is_blocked(tree: Tree) -> None:
    tree.add(VMD_ADDRESS, "vmd", kind=VMD)
    assert rebound(prepare(tree)) == []
    plan = prepare(tree, vmd=True)
    assert (rebound(plan), plan.vmd) == ([(VMD_ADDRESS, "vmd", "vfio-pci")], True)
    assert rebound(prepare(tree, "5d0505:01:00.0", vmd=True)) == [(VMD_ADDRESS, "vmd", "vfio-pci")]
    assert rebound(prepare(tree, "", "5d0505:01:00.0", vmd=True)) == []


def test_intels_raid_controllers_are_not_taken_for_vmds(tree: Tree) -> None:
    device = tree.add(VMD_ADDRESS, "megaraid_sas", kind=VMD)
    (device / "device").write_text("0x0014\n")
    assert rebound(prepare(tree, vmd=True)) == []


def test_preparing_twice_changes_nothing_the_second_time(tree: Tree) -> None:
    tree.add(A)
    kernel.apply(prepare(tree), InProcessKernel(tree))
    again = prepare(tree)
    assert (again.rebinds, again.groups) == ((), ("1",))


def test_reset_gives_back_what_programs_had_and_leaves_other_drivers(tree: Tree) -> None:
    tree.add(A, "vfio-pci")
    tree.add(B, "nvme")
    tree.add(C, "")
    (tree.device(A) / "driver_override").write_text("vfio-pci\n")
    plan = binding.plan_reset(host.snapshot(tree.root), Choice())
    assert rebound(plan) == [(A, "vfio-pci", "nvme"), (C, "", "nvme")]
    kernel.apply(plan, InProcessKernel(tree))
    assert [tree.driver(address) for address in (A, B, C)] == ["nvme"] * 3
    assert (tree.device(A) / "driver_override").read_text().strip() == ""


def test_a_device_that_a_program_drives_is_not_reset(tree: Tree) -> None:
    tree.add(A, "vfio-pci")
    lock = tree.root / "var/tmp" / f"spdk_pci_lock_{A}"
    lock.write_bytes((4242).to_bytes(4, "little"))
    # A lock of this process would not show to itself: another one must hold it.
    code = f"import fcntl, sys; f = open({str(lock)!r}, 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True)"
    code += "; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        plan = binding.plan_reset(host.snapshot(tree.root), Choice())
        assert (plan.rebinds, plan.skipped) == ((), (f"{A}: process 4242 drives it with SPDK",))
        with pytest.raises(Fault) as caught:
            binding.plan_reset(host.snapshot(tree.root), Choice.of(A, ""))
        assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
        holder.communicate()
    assert rebound(binding.plan_reset(host.snapshot(tree.root), Choice())) == [(A, "vfio-pci", "nvme")]


def test_a_device_that_its_new_driver_refuses_goes_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_PROBE_SECONDS", 0.05)
    tree.add(A, disk="nvme0n1")
    with pytest.raises(Fault, match="could not be bound to the driver vfio-pci") as caught:
        kernel.apply(prepare(tree), InProcessKernel(tree, refuse="vfio-pci"))
    assert caught.value.code == Code.BDEV_UNKNOWN
    assert tree.driver(A) == "nvme"
    assert (tree.device(A) / "driver_override").read_text().strip() == ""


def test_a_device_mounted_after_the_plan_was_made_is_refused(tree: Tree) -> None:
    tree.add(A, disk="nvme0n1")
    plan = prepare(tree)
    tree.mount("259:1", "/data", "/dev/nvme0n1")
    with pytest.raises(Fault) as caught:
        kernel.apply(plan, InProcessKernel(tree))
    assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    assert tree.driver(A) == "nvme"


def test_a_device_that_vanishes_after_the_plan_is_fault_304(tree: Tree) -> None:
    tree.add(A)
    plan = prepare(tree)
    tree.device(A).rename(tree.root / "gone")
    with pytest.raises(Fault) as caught:
        kernel.apply(plan, InProcessKernel(tree))
    assert caught.value.code == Code.BDEV_NOT_FOUND


def test_a_driver_that_is_not_loaded_is_loaded_first(tree: Tree) -> None:
    tree.add(A)
    (tree.root / "sys/bus/pci/drivers/vfio-pci/unbind").unlink()
    (tree.root / "sys/bus/pci/drivers/vfio-pci").rmdir()
    machine = InProcessKernel(tree)
    kernel.apply(prepare(tree), machine)
    assert machine.loaded == ["vfio-pci"]
