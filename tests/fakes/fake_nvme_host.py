"""A tree with the dev, proc, sys and var of a host that has NVMe devices, and a kernel that binds their drivers."""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NVME, VMD = 0x010802, 0x010400
CONFIG_START = bytes.fromhex("86805309") + bytes(2) + b"\x10" + bytes(2) + bytes([2, 8, 1])


class Tree:
    """`root` stands for /."""

    def __init__(self, root: Path, *, iommu: bool = True, nodes: int = 1) -> None:
        self.root = root
        for name in ("dev/vfio", "dev/hugepages", "proc/self", "var/tmp", "sys/class/block", "sys/class/iommu"):
            (root / name).mkdir(parents=True)
        for driver in ("nvme", "vfio-pci", "uio_pci_generic", "vmd"):
            directory = root / "sys/bus/pci/drivers" / driver
            directory.mkdir(parents=True)
            (directory / "unbind").touch()
        (root / "sys/bus/pci/devices").mkdir()
        (root / "sys/bus/pci/drivers_probe").touch()
        (root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        (root / "proc/meminfo").write_text("Hugepagesize:       2048 kB\n")
        self.mounts = [f"20 1 0:20 / {root / 'dev/hugepages'} rw - hugetlbfs hugetlbfs rw"]
        self._write_mounts()
        for node in range(nodes):
            pages = self.pages(node)
            pages.mkdir(parents=True)
            (pages / "nr_hugepages").write_text("0\n")
            (pages / "free_hugepages").write_text("0\n")
        if iommu:
            (root / "sys/class/iommu/dmar0").mkdir()

    def pages(self, node: int) -> Path:
        return self.root / f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB"

    def device(self, address: str) -> Path:
        return self.root / "sys/bus/pci/devices" / address

    def add(self, address: str, driver: str = "nvme", *, disk: str = "", kind: int = NVME, node: int = 0) -> Path:
        device = self.device(address)
        device.mkdir()
        number = len(list(device.parent.iterdir()))
        values = {"class": f"{kind:#08x}", "vendor": "0x8086", "device": "0x28c0" if kind == VMD else "0x0953"}
        for name, value in {**values, "numa_node": str(node), "driver_override": "(null)"}.items():
            (device / name).write_text(value + "\n")
        config = bytearray(256)
        config[: len(CONFIG_START)] = CONFIG_START
        config[0x34], config[0x60] = 0x60, 0x10
        config[0x6C:0x70], config[0x72:0x74] = bytes.fromhex("436c4100"), bytes.fromhex("4300")
        (device / "config").write_bytes(config)
        if any((self.root / "sys/class/iommu").iterdir()):
            group = self.root / f"sys/kernel/iommu_groups/{number}"
            group.mkdir(parents=True)
            (device / "iommu_group").symlink_to(group)
            (self.root / f"dev/vfio/{number}").touch()
        if driver:
            (device / "driver").symlink_to(self.root / "sys/bus/pci/drivers" / driver)
        if disk:
            self.add_disk(address, disk, number)
        return device

    def add_disk(self, address: str, disk: str, number: int, *, path: str = "") -> None:
        """`path` is its name below the controller, where that is not the disk's own (several paths to it)."""
        controller = self.device(address) / "nvme" / f"nvme{number}"
        (controller / (path or disk)).mkdir(parents=True)
        (controller / (path or disk) / "size").write_text("2048\n")
        block = self.root / "sys/class/block" / disk
        (block / "holders").mkdir(parents=True)
        (block / "dev").write_text(f"259:{number}\n")
        (block / f"{disk}p1").mkdir()
        (block / f"{disk}p1" / "partition").write_text("1\n")
        known = self.root / "sys/class/block" / f"{disk}p1"
        (known / "holders").mkdir(parents=True)
        (known / "dev").write_text(f"259:{number + 100}\n")

    def mount(self, number: str, path: str, source: str) -> None:
        self.mounts.append(f"30 1 {number} / {path} rw - ext4 {source} rw")
        self._write_mounts()

    def _write_mounts(self) -> None:
        (self.root / "proc/self/mountinfo").write_text("\n".join(self.mounts) + "\n")

    def driver(self, address: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.device(address) / "driver").readlink().name
        return ""

    def probe(self, address: str, *, refuse: str = "") -> None:
        """What the kernel does when asked to find a driver for a device."""
        device = self.device(address)
        override = (device / "driver_override").read_text().strip()
        kind = int((device / "class").read_text(), 16)
        wanted = override if override not in ("", "(null)") else ("vmd" if kind == VMD else "nvme")
        with contextlib.suppress(FileNotFoundError):
            (device / "driver").unlink()
        if wanted != refuse:
            (device / "driver").symlink_to(self.root / "sys/bus/pci/drivers" / wanted)
        if wanted != "nvme":
            shutil.rmtree(device / "nvme", ignore_errors=True)

    @contextmanager
    def kernel(self, *, refuse: str = "") -> Iterator[None]:
        """Answers writes of another process to drivers_probe, until the end of the block."""
        pipe = self.root / "sys/bus/pci/drivers_probe"
        pipe.unlink()
        os.mkfifo(pipe)

        def serve() -> None:
            while True:
                with pipe.open() as file:
                    asked = file.read().strip()
                if asked == "stop":
                    return
                self.probe(asked, refuse=refuse)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            pipe.write_text("stop")
            thread.join(5)
