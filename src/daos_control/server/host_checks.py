"""What SPDK and huge pages ask of the host, held against a snapshot of it (lifecycle.md 2.1).

Each check stands in the way only of a configuration that uses what it is about.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daos_control.config import memory as memory_rules
from daos_control.config.models import ServerConfig
from daos_control.faults import server as faults
from daos_control.storage.api import EngineStorage
from daos_control.storage.memory import MemorySnapshot
from daos_control.storage.nvme import host as nvme_host

_NEVER = "never"


@dataclass(frozen=True, slots=True)
class Kernel:
    """`transparent_huge_pages` is the setting that is chosen ("always", "madvise", "never"; so also for a kernel
    without them). `iommu` says whether one is in use, `is_root` whether this process is root's."""

    transparent_huge_pages: str = _NEVER
    iommu: bool = False
    is_root: bool = False

    @classmethod
    def snapshot(cls, root: Path = Path("/")) -> Self:
        """Now; `root` is the directory that has sys."""
        return cls(
            transparent_huge_pages=_chosen(root / "sys/kernel/mm/transparent_hugepage/enabled"),
            iommu=nvme_host.iommu(root),
            is_root=os.geteuid() == 0,
        )


def uses_spdk(config: ServerConfig) -> bool:
    """Whether an engine drives block devices by SPDK, and with huge pages; the embedded engine does not."""
    ours = config.disable_hugepages or config.daos_control.embedded_engine
    return not ours and any(engine.bdevs for engine in config.engines)


def check_kernel(config: ServerConfig, kernel: Kernel) -> None:
    """Faults 623, 614 and 602."""
    if not uses_spdk(config):
        return
    if not config.allow_thp and kernel.transparent_huge_pages != _NEVER:
        raise faults.transparent_hugepages_enabled(kernel.transparent_huge_pages)
    if kernel.is_root or not any(tier.class_ == "nvme" for engine in config.engines for tier in engine.bdevs):
        return
    if config.disable_vfio:
        raise faults.vfio_disabled()
    if not kernel.iommu:
        raise faults.iommu_disabled()


def missing_huge_pages(config: ServerConfig, storage: EngineStorage, node: int, now: MemorySnapshot) -> str:
    """What to tell, before an engine starts, about huge pages that it will lack on its NUMA node; empty where there
    are enough. It starts even so: it may need fewer than it is given."""
    if not uses_spdk(config) or not storage.bdevs or not now.huge_page_kib:
        return ""
    need = config.engines[storage.index].targets * memory_rules.HUGE_BYTES_PER_TARGET // (now.huge_page_kib << 10)
    found = next((one.huge_free for one in now.nodes if one.node == node), None)
    where = f"on NUMA node {node}"
    if found is None:  # a kernel without NUMA
        found, where = now.huge_free, "on this host"
    if found >= need:
        return ""
    file = f"/sys/devices/system/node/node{node}/hugepages/hugepages-{now.huge_page_kib}kB/nr_hugepages"
    return (
        f"engine {storage.index}: {found} huge pages of {now.huge_page_kib} KiB are free {where}, and its"
        f" {config.engines[storage.index].targets} targets need {need}; stop what holds huge pages, or free memory"
        f" and start daos_server again, or reboot (the kernel has them in {file})"
    )


def _chosen(path: Path) -> str:
    """The word in brackets of such a text as "always [madvise] never"."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return _NEVER
    _, _, rest = text.partition("[")
    return rest.partition("]")[0] or _NEVER
