"""How a host's memory is shared out: huge pages, and the size of RAM disks (storage.md 3 and 4).

Pure: the figures are given, and a new configuration is returned.
"""

from collections import Counter
from collections.abc import Sequence

from daos_control.config.models import EngineConfig, ServerConfig, updated
from daos_control.config.problems import Finding, Notice
from daos_control.config.server import require
from daos_control.config.storage_checks import RAMDISK_GIB_MIN
from daos_control.faults import ControlError
from daos_control.faults import serverconfig as faults
from daos_control.faults import storage as storage_faults
from daos_control.storage.memory import MemorySnapshot

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HUGE_BYTES_PER_TARGET = GIB
RESERVED_BYTES_PER_TARGET = 128 * MIB
RESERVED_BYTES_PER_ENGINE_MIN = GIB
RAMDISK_BYTES_MIN = RAMDISK_GIB_MIN * GIB
# Without targets on block devices, as many huge pages as it takes to look for NVMe devices.
HUGE_PAGES_FOR_SCAN = 128


def _has_bdevs(engine: EngineConfig) -> bool:
    return any(tier.bdev_list for tier in engine.bdevs)


def huge_pages_min(config: ServerConfig, huge_page_kib: int) -> int:
    """Huge pages that the engines with block devices need together; 0 where there are none.

    1 GiB for each target, for the system's own thread where metadata are on SSDs, and for a second target where
    an engine has only one.
    """
    units = 0
    for engine in config.engines:
        if _has_bdevs(engine):
            units += engine.targets + (1 if engine.has_meta_role or engine.targets == 1 else 0)
    return units * HUGE_BYTES_PER_TARGET // (huge_page_kib * KIB)


def with_huge_pages(config: ServerConfig, huge_page_kib: int) -> tuple[ServerConfig, list[Notice]]:
    """The configuration with `nr_hugepages` as it is to be asked for.

    The embedded engine uses no huge pages, so with it only those that the file names are asked for.
    """
    if config.disable_hugepages or config.daos_control.embedded_engine:
        return config, []
    least = huge_pages_min(config, huge_page_kib)
    if least == 0:
        return updated(config, nr_hugepages=max(config.nr_hugepages, HUGE_PAGES_FOR_SCAN)), []
    if config.nr_hugepages == 0:
        return updated(config, nr_hugepages=least), []
    if config.nr_hugepages < least:
        text = f"{config.nr_hugepages} huge pages are fewer than the {least} that the targets need; leave it out"
        return config, [Notice("nr_hugepages", text)]
    return config, []


def huge_page_nodes(config: ServerConfig, engine_nodes: Sequence[int | None]) -> list[int]:
    """The NUMA nodes that huge pages are wanted on; `engine_nodes` is that of each engine, None for not bound.

    Node 0 alone where no engine has block devices. Fault 728 where engines are spread unevenly over the nodes, and
    allow_numa_imbalance is not set.
    """
    if not any(_has_bdevs(engine) for engine in config.engines):
        return [0]
    by_node = Counter(node or 0 for node in engine_nodes)
    if len(set(by_node.values())) > 1 and not config.allow_numa_imbalance:
        raise faults.numa_imbalance(dict(by_node))
    return sorted(by_node)


def reserved_bytes(config: ServerConfig, huge_page_kib: int) -> int:
    """Memory that no RAM disk may take: huge pages, the system's share, and each engine's own."""
    huge = config.nr_hugepages * huge_page_kib * KIB
    return huge + config.system_ram_reserved * GIB + len(config.engines) * _engine_bytes(config)


def _engine_bytes(config: ServerConfig) -> int:
    """What each engine takes beside its RAM disk. The targets of engine 0 stand for those of all."""
    targets = config.engines[0].targets if config.engines else 0
    return max(targets * RESERVED_BYTES_PER_TARGET, RESERVED_BYTES_PER_ENGINE_MIN)


def explain_reserved(config: ServerConfig, huge_page_kib: int) -> str:
    """What `reserved_bytes` consists of, in words."""
    huge = config.nr_hugepages * huge_page_kib * KIB
    return (
        f"{huge / GIB:.1f} GiB of huge pages, {config.system_ram_reserved} GiB of system_ram_reserved, and"
        f" {_engine_bytes(config) / GIB:.1f} GiB for each of {len(config.engines)} engines"
    )


def ramdisk_bytes_max(config: ServerConfig, memory: MemorySnapshot) -> int:
    """The largest RAM disk that each engine may have; ControlError where nothing is left for any."""
    total = memory.total_kib * KIB
    reserved = reserved_bytes(config, memory.huge_page_kib)
    if reserved > total:
        raise ControlError(
            f"insufficient memory: {reserved / GIB:.1f} GiB are reserved"
            f" ({explain_reserved(config, memory.huge_page_kib)}), and the host has {total / GIB:.1f} GiB; reduce"
            " system_ram_reserved, nr_hugepages or targets"
        )
    return (total - reserved) // len(config.engines)


def with_ramdisk_sizes(config: ServerConfig, memory: MemorySnapshot) -> ServerConfig:
    """The configuration with a size for every RAM disk; unchanged where engine 0 has none.

    `nr_hugepages` must be final (`with_huge_pages`). Raises Fault 214 where memory cannot hold the smallest RAM
    disks, Fault 731 where one is configured larger than memory allows (several: ConfigError), or ControlError.
    """
    if not config.engines or config.engines[0].storage[0].class_ != "ram":
        return config
    total = memory.total_kib * KIB
    largest = ramdisk_bytes_max(config, memory)
    parts = explain_reserved(config, memory.huge_page_kib)
    if largest < RAMDISK_BYTES_MIN:
        smallest = RAMDISK_BYTES_MIN * len(config.engines)
        need = reserved_bytes(config, memory.huge_page_kib) + smallest
        raise storage_faults.ramdisk_low_memory("Total", smallest, need, total, parts=f"with {parts}")
    why = f"{total / GIB:.1f} GiB, less {parts}, shared by them"
    too_large = [
        (index, faults.ramdisk_too_large(engine.storage[0].scm_size * GIB, largest, RAMDISK_BYTES_MIN, why))
        for index, engine in enumerate(config.engines)
        if engine.storage[0].scm_size * GIB > largest
    ]
    if len(too_large) == 1:
        raise too_large[0][1]
    require(config, [Finding.of(fault, ("engines", index, "storage", 0, "scm_size")) for index, fault in too_large])
    return updated(config, engines=[_sized(engine, largest // GIB) for engine in config.engines])


def _sized(engine: EngineConfig, size_gib: int) -> EngineConfig:
    first = engine.storage[0]
    if first.class_ != "ram" or first.scm_size:
        return engine
    sized = first.model_copy(update={"scm_size": size_gib})
    return engine.model_copy(update={"storage": [sized, *engine.storage[1:]]})
