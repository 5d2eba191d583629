"""The storage of each engine, out of the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daos_control.config.models import DEFAULT_SCM_MOUNT, EngineConfig, ServerConfig, StorageTier
from daos_control.storage.api import BdevTier, Class, EngineStorage, NvmeOptions, Role, ScmTier

_ALL_BUSES = (0, 255)
_ACCEL_OPTIONS = {"move": 1, "crc": 2}
_ROLES = {"data": Role.DATA, "meta": Role.META, "wal": Role.WAL}


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine adds to the configuration.

    `numa_nodes` is the node that each engine runs on (None: not bound), `buses` the lowest and highest PCI bus of
    each node, `vmd` whether volume management devices are in use.
    """

    numa_nodes: Sequence[int | None] = ()
    buses: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    vmd: bool = False


def engine_storages(config: ServerConfig, hardware: Hardware | None = None) -> list[EngineStorage]:
    """One for each engine, in order; `config` is valid, and its RAM disks are sized (`memory.with_ramdisk_sizes`).

    Without `hardware`, engines are on the nodes that they are pinned to, and all buses take new devices.
    """
    around = hardware or Hardware()
    return [_engine_storage(config, index, engine, around) for index, engine in enumerate(config.engines)]


def system_database_dir(config: ServerConfig) -> Path | None:
    """Where a replica keeps the system database; None where there are neither engines nor control metadata."""
    if config.control_metadata.path is not None:
        return config.control_metadata.path / "daos_control"
    return engine_storages(config)[0].scm.mount if config.engines else None


def _engine_storage(config: ServerConfig, index: int, engine: EngineConfig, around: Hardware) -> EngineStorage:
    node = around.numa_nodes[index] if index < len(around.numa_nodes) else engine.pinned_numa_node
    return EngineStorage(
        index=index,
        scm=_scm(engine, node),
        bdevs=tuple(_bdev(number, tier) for number, tier in enumerate(engine.storage) if tier.is_bdev),
        metadata_path=config.control_metadata.path,
        metadata_device=config.control_metadata.device,
        nvme=_nvme(config, engine, around, node),
        # DAOS honours the key only where there is a place of its own for the control plane's data.
        allow_config_override=config.control_metadata.allow_spdk_conf_override
        and config.control_metadata.path is not None,
    )


def _nvme(config: ServerConfig, engine: EngineConfig, around: Hardware, node: int | None) -> NvmeOptions:
    accel_options = 0
    for name in engine.acceleration.options:
        accel_options |= _ACCEL_OPTIONS[name]
    return NvmeOptions(
        hotplug=None if config.disable_hotplug else _hotplug_buses(engine, around, node),
        vmd=around.vmd,
        accel_engine=engine.acceleration.engine,
        accel_options=accel_options,
        rpc_server=engine.spdk_rpc_server.enable,
        rpc_address=engine.spdk_rpc_server.sock_addr,
        auto_faulty=engine.bdev_auto_faulty.enable,
        max_io_errors=engine.bdev_auto_faulty.max_io_errs,
        max_checksum_errors=engine.bdev_auto_faulty.max_csum_errs,
        iobuf_small=engine.spdk_iobuf.small_pool_count,
        iobuf_large=engine.spdk_iobuf.large_pool_count,
    )


def _hotplug_buses(engine: EngineConfig, around: Hardware, node: int | None) -> tuple[int, int]:
    configured = engine.bdevs[0].bdev_busid_range if engine.bdevs else None
    if around.vmd:
        return _ALL_BUSES  # devices behind a VMD have bus numbers of their own
    if configured is not None:
        return (configured.begin, configured.end)
    return around.buses.get(node or 0, _ALL_BUSES)


def _scm(engine: EngineConfig, node: int | None) -> ScmTier:
    tier = engine.scm
    if tier is None:  # no valid file has this; a mount point is needed even so to look for what is there
        return ScmTier(Class.RAM, DEFAULT_SCM_MOUNT)
    storage_class = Class(tier.class_)
    ram = storage_class is Class.RAM
    return ScmTier(
        storage_class=storage_class,
        mount=tier.scm_mount or DEFAULT_SCM_MOUNT,
        size_gib=tier.scm_size if ram else 0,
        device=tier.scm_list[0] if tier.scm_list and not ram else None,
        numa_node=node if ram else None,
        huge_pages=ram and tier.scm_hugepages_disabled is False,
    )


def _bdev(number: int, tier: StorageTier) -> BdevTier:
    storage_class = Class(tier.class_)
    roles = Role.NONE
    for name in tier.bdev_roles:
        roles |= _ROLES[name]
    devices = sorted(tier.bdev_list, key=_pci_order) if storage_class is Class.NVME else tier.bdev_list
    return BdevTier(
        index=number,
        storage_class=storage_class,
        devices=tuple(devices),
        file_size_gib=tier.bdev_size if storage_class is Class.FILE else 0,
        roles=roles,
    )


def _pci_order(address: str) -> tuple[int, ...]:
    return tuple(int(part, 16) for part in address.replace(".", ":").split(":"))
