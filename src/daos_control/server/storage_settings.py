"""What the configuration says about storage beside the tiers themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from daos_control.config.models import EngineConfig, ServerConfig
from daos_control.faults import ControlError
from daos_control.network import topology
from daos_control.storage.api import Class, EngineStorage, NvmeOptions

RDB_BYTES_DEFAULT = 1 << 30

_ACCEL_BITS = {"move": 1, "crc": 2}
_ALL_BUSES = (0x00, 0xFF)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """`targets` and `metadata_caps` (DAOS_MD_CAP of its environment, MiB as text; empty where it is not set) are
    per engine, by index."""

    disable_hugepages: bool
    targets: tuple[int, ...]
    metadata_caps: tuple[str, ...]

    @classmethod
    def of(cls, config: ServerConfig) -> Self:
        return cls(
            disable_hugepages=config.disable_hugepages,
            targets=tuple(engine.targets for engine in config.engines),
            metadata_caps=tuple(_variable(engine, "DAOS_MD_CAP") for engine in config.engines),
        )

    def rdb_bytes(self, engine: int) -> int:
        """Size of the file that an engine keeps a pool's metadata in; ControlError where its cap is no number."""
        text = self.metadata_caps[engine]
        if not text:
            return RDB_BYTES_DEFAULT
        if not (text.isascii() and text.isdigit()):
            raise ControlError(f"invalid RDB file size: {text!r} does not define a plain int")
        return int(text) << 20


def with_nvme_options(
    config: ServerConfig, storages: Sequence[EngineStorage], sysfs: Path = Path("/sys")
) -> list[EngineStorage]:
    """The engines' storage with what daos_nvme.conf says beside its devices; looks at this host's PCI buses."""
    return [
        replace(
            storage,
            nvme=_options(config, engine, storage, sysfs),
            allow_config_override=config.control_metadata.allow_spdk_conf_override,
        )
        for engine, storage in zip(config.engines, storages, strict=True)
    ]


def _options(config: ServerConfig, engine: EngineConfig, storage: EngineStorage, sysfs: Path) -> NvmeOptions:
    names = engine.acceleration.options or list(_ACCEL_BITS)
    return NvmeOptions(
        hotplug=None if config.disable_hotplug or not storage.bdevs else _buses(engine, storage, sysfs),
        accel_engine=engine.acceleration.engine,
        accel_options=0 if engine.acceleration.engine == "none" else sum(_ACCEL_BITS[name] for name in set(names)),
        rpc_server=engine.spdk_rpc_server.enable,
        rpc_address=engine.spdk_rpc_server.sock_addr,
        auto_faulty=engine.bdev_auto_faulty.enable,
        max_io_errors=engine.bdev_auto_faulty.max_io_errs,
        max_checksum_errors=engine.bdev_auto_faulty.max_csum_errs,
        iobuf_small=engine.spdk_iobuf.small_pool_count,
        iobuf_large=engine.spdk_iobuf.large_pool_count,
    )


def _buses(engine: EngineConfig, storage: EngineStorage, sysfs: Path) -> tuple[int, int]:
    """Where new SSDs are looked for: as the first block device tier says, else on the engine's NUMA node."""
    first = engine.storage[storage.bdevs[0].index]
    if first.bdev_busid_range and storage.bdevs[0].storage_class is Class.NVME:
        low, _, high = str(first.bdev_busid_range).partition("-")
        return int(low, 0), int(high, 0)
    return topology.pci_buses(engine.pinned_numa_node or 0, sysfs) or _ALL_BUSES


def _variable(engine: EngineConfig, name: str) -> str:
    values = [entry.partition("=")[2] for entry in engine.env_vars if entry.partition("=")[0] == name]
    return values[-1] if values else ""
