"""The storage tiers of an engine."""

from collections.abc import Sequence
from pathlib import Path

from daos_control.config.generate.affinity import EnginePlace
from daos_control.config.generate.hardware import Ssd
from daos_control.config.generate.pci import pci_order
from daos_control.config.models import StorageTier
from daos_control.faults import ControlError
from daos_control.faults import client as faults

_MOUNT_PREFIX = "/mnt/daos"
# Roles by the number of tiers.
_ROLES = {1: (("data", "meta", "wal"),), 2: (("wal",), ("data", "meta"))}
_FEW_SSDS_MAX = 5


def balanced(places: Sequence[EnginePlace]) -> list[tuple[Ssd, ...]]:
    """The SSDs of each engine, as many as the poorest has. Fault 511 where some would be left out that are behind a
    VMD: what is behind one is used as a whole."""
    count = min(len(place.ssds) for place in places)
    for place in places:
        if len(place.ssds) > count and any(ssd.vmd for ssd in place.ssds):
            raise faults.vmd_imbalance({p.numa_node: len(p.ssds) for p in places})
    return [place.ssds[:count] for place in places]


def tiers(place: EnginePlace, ssds: Sequence[Ssd], *, ram: bool, md_on_ssd: bool) -> list[StorageTier]:
    """SCM, then the SSDs: in one tier, or with metadata on SSDs split as `split` says, with their roles."""
    mount = Path(f"{_MOUNT_PREFIX}{place.numa_node}")
    if ram:
        scm = StorageTier(class_="ram", scm_mount=mount)
    else:
        scm = StorageTier(class_="dcpm", scm_mount=mount, scm_list=[Path("/dev") / place.pmem[0].name])
    addresses = _configured(ssds)
    if not addresses:
        return [scm]
    if not md_on_ssd:
        return [scm, StorageTier(class_="nvme", bdev_list=addresses)]
    counts = split(len(addresses))
    made, start = [scm], 0
    for count, roles in zip(counts, _ROLES[len(counts)], strict=True):
        devices = addresses[start : start + count]
        made.append(StorageTier(class_="nvme", bdev_list=devices, bdev_roles=list(roles)))
        start += count
    return made


def split(ssds: int) -> tuple[int, ...]:
    """SSDs for the write-ahead log, and those for metadata and data; a single one does it all."""
    if ssds < 1:
        raise ControlError("metadata on SSDs need at least one SSD for each engine")
    if ssds == 1:
        return (1,)
    return (1, ssds - 1) if ssds <= _FEW_SSDS_MAX else (2, ssds - 2)


def _configured(ssds: Sequence[Ssd]) -> list[str]:
    """The addresses that stand in a configuration: for SSDs behind a VMD, that of the VMD, once."""
    return sorted({ssd.vmd or ssd.address for ssd in ssds}, key=pci_order)
