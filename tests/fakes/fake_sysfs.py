"""A sysfs made for a test: PCI functions, and the devices on them, with links as the kernel makes them."""

import os
from pathlib import Path


class Sysfs:
    """Builds below `root` (what is /sys elsewhere)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: Path | str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def function(self, address: str, node: int = 0, bus: str = "0000:00", **attributes: str) -> Path:
        """A PCI function below a root bus."""
        directory = self.root / f"devices/pci{bus}" / address
        self.write(directory / "numa_node", str(node))
        for name, value in attributes.items():
            self.write(directory / name, value)
        self._link(self.root / "bus/pci/devices" / address, directory)
        return directory

    def net(
        self, name: str, function: Path | None, *, kind: int = 1, operstate: str = "up", flags: str = "0x1003"
    ) -> Path:
        """A network interface, virtual without a function."""
        directory = function / "net" / name if function else self.root / "devices/virtual/net" / name
        for attribute, value in (("type", str(kind)), ("operstate", operstate), ("flags", flags)):
            self.write(directory / attribute, value)
        if function:
            self._link(directory / "device", function)
        self._link(self.root / "class/net" / name, directory)
        return directory

    def fabric(self, name: str, function: Path, *states: str, kind: str = "infiniband") -> None:
        """An RDMA device with ports in the given states."""
        directory = function / kind / name
        directory.mkdir(parents=True)
        for port, state in enumerate(states, start=1):
            self.write(directory / f"ports/{port}/state", state)
        self._link(directory / "device", function)
        self._link(self.root / f"class/{kind}" / name, directory)

    def block(self, name: str, below: Path, sectors: int, number: str = "254:0") -> Path:
        directory = below / "block" / name
        self.write(directory / "size", str(sectors))
        self.write(directory / "dev", number)
        self.write(directory / "queue/hw_sector_size", "512")
        self._link(directory / "device", below)
        self._link(self.root / "class/block" / name, directory)
        return directory

    def node(self, index: int, cpus: tuple[int, ...], threads: int = 1) -> None:
        """A NUMA node; `threads` processors that follow each other are one core."""
        self.write(f"devices/system/node/node{index}/cpulist", ",".join(map(str, cpus)))
        for cpu in cpus:
            first = cpu // threads * threads
            siblings = ",".join(str(first + number) for number in range(threads))
            self.write(f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings)

    def lower(self, upper: Path, name: str) -> None:
        """An interface on top of another one."""
        self._link(upper / f"lower_{name}", (self.root / "class/net" / name).resolve())

    @staticmethod
    def _link(link: Path, target: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target.resolve(), link.parent.resolve()))
