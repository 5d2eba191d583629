"""Kernel modules: which to load, in what order. Nothing loads modules by itself in the machine."""

import lzma
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError

# In Debian's cloud kernel NVMe and ext4 are built in; a name that a kernel has built in is skipped.
WANTED = (
    "virtio_pci",
    "virtio_blk",  # the machine's own file systems
    "virtio_console",  # results
    "virtio_rng",
    "virtio_net",
    "ext4",
    "nvme",
    "nfit",  # finds the NVDIMMs that ACPI tells of
    "nd_pmem",  # their block devices
    "device_dax",
    "loop",
    "xfs",  # a foreign file system
    "uio_pci_generic",  # what NVMe is bound to for SPDK
    "vfio_pci",
)

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


class ModuleTree:
    """The modules of an unpacked kernel package."""

    def __init__(self, kernel: Path) -> None:
        files = [path for path in kernel.rglob("*.ko*") if path.is_file()]
        self._files = {_name(path.name.split(".ko")[0]): path for path in files}
        builtin = next(iter(kernel.rglob("modules.builtin")), None)
        lines = builtin.read_text(encoding="utf-8").splitlines() if builtin else []
        self._builtin = {_name(Path(line).stem) for line in lines}

    def ordered(self, wanted: Iterable[str] = WANTED) -> list[str]:
        """The wanted modules and all they need, each after what it needs."""
        order: list[str] = []
        for name in wanted:
            self._append(_name(name), order)
        return order

    def content(self, name: str) -> bytes:
        """A module's object file, unpacked."""
        path = self._files[name]
        data = path.read_bytes()
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".zst":
            if shutil.which("zstd") is None:
                raise LabError("this kernel's modules are packed with zstd; on Debian: apt-get install zstd")
            return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
        return data

    def _append(self, name: str, order: list[str]) -> None:
        if name in order or name in self._builtin:
            return
        if name not in self._files:
            raise LabError(f"the kernel package has no module '{name}'")
        found = _DEPENDS.search(b"\0" + self.content(name))
        for needed in found[1].decode().split(",") if found else ():
            if needed:
                self._append(_name(needed), order)
        order.append(name)


def _name(text: str) -> str:
    return text.replace("-", "_")
