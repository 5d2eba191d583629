"""What the server asks of storage: the shapes of an engine's tiers, and one Protocol for what is done to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntFlag
from pathlib import Path
from typing import Protocol

from daos_control.faults import Fault


class Class(Enum):
    """Storage classes, spelled as in daos_server.yml."""

    DCPM = "dcpm"
    RAM = "ram"
    NVME = "nvme"
    FILE = "file"
    KDEV = "kdev"


class Role(IntFlag):
    """What a block device tier is used for; the numbers stand in daos_nvme.conf and on the wire."""

    NONE = 0
    DATA = 1
    META = 2
    WAL = 4


@dataclass(frozen=True, slots=True)
class ScmTier:
    """Tier 0. `size_gib` and `numa_node` are of class ram, `device` ("/dev/pmem0") of class dcpm."""

    storage_class: Class
    mount: Path
    size_gib: int = 0
    device: Path | None = None
    numa_node: int | None = None
    huge_pages: bool = False


@dataclass(frozen=True, slots=True)
class BdevTier:
    """One block device tier; `index` is its position among all tiers (1..3)."""

    index: int
    storage_class: Class
    devices: tuple[str, ...]
    file_size_gib: int = 0
    roles: Role = Role.NONE


@dataclass(frozen=True, slots=True)
class NvmeOptions:
    """What daos_nvme.conf says beside its devices (storage.md 8).

    `hotplug` is None where it is disabled, else the PCI buses (first, last) on which new SSDs are taken.
    `accel_options` has bit 1 for move and 2 for crc. Zero counts of `iobuf_*` mean SPDK's own defaults.
    """

    hotplug: tuple[int, int] | None = None
    vmd: bool = False
    accel_engine: str = "none"
    accel_options: int = 0
    rpc_server: bool = False
    rpc_address: str = ""
    auto_faulty: bool = False
    max_io_errors: int = 0
    max_checksum_errors: int = 0
    iobuf_small: int = 0
    iobuf_large: int = 0


@dataclass(frozen=True, slots=True)
class EngineStorage:
    """All the storage of one engine, out of the configuration and of nothing else.

    `allow_config_override` is control_metadata.allow_spdk_conf_override: daos_nvme.conf is not checked at start.
    """

    index: int
    scm: ScmTier
    bdevs: tuple[BdevTier, ...]
    metadata_path: Path | None = None
    metadata_device: Path | None = None
    nvme: NvmeOptions = NvmeOptions()
    allow_config_override: bool = False

    @property
    def has_meta_role(self) -> bool:
        """Whether metadata live on block devices ("MD-on-SSD"): the SCM then holds nothing that must last."""
        return any(tier.roles & Role.META for tier in self.bdevs)

    @property
    def superblock_path(self) -> Path:
        return self.metadata_dir / "superblock"

    @property
    def nvme_config_path(self) -> Path:
        return self.metadata_dir / "daos_nvme.conf"

    @property
    def metadata_dir(self) -> Path:
        """Where the engine's own small files live (storage.md, lifecycle.md 14)."""
        if self.metadata_path is None:
            return self.scm.mount
        return self.metadata_path / "daos_control" / f"engine{self.index}"


class ScmState(Enum):
    """What an engine's SCM was found to be."""

    MOUNTED = "mounted"  # formatted, and its file system is mounted: ready to use
    MOUNTABLE = "mountable"  # formatted by us, not mounted
    UNFORMATTED = "unformatted"  # nothing of value on it
    INCOMPLETE = "incomplete"  # a format of ours was begun and not finished: format again resumes it
    FOREIGN = "foreign"  # holds something that is not ours: formatted only when forced


@dataclass(frozen=True, slots=True)
class BdevResult:
    """Outcome of formatting one device; `error` is why it failed, None where it went well."""

    device: str
    roles: Role
    error: Fault | None = None


@dataclass(frozen=True, slots=True)
class ScmUsage:
    """Bytes of a mounted SCM file system."""

    total: int
    available: int


class EngineStorageOps(Protocol):
    """What the server does to the storage of one engine. Every call may raise a Fault; each is safe to repeat."""

    async def scm_state(self, storage: EngineStorage) -> ScmState: ...

    async def mount_scm(self, storage: EngineStorage) -> None:
        """Bring a MOUNTABLE file system to its mount point; nothing to do where it is MOUNTED."""
        ...

    async def format_scm(self, storage: EngineStorage, *, force: bool) -> None:
        """Make and mount the file system; Fault 101 where `scm_state` is not UNFORMATTED or INCOMPLETE, unless
        forced. A crash at any step leaves the device untouched, INCOMPLETE, or complete."""
        ...

    async def format_bdevs(self, storage: EngineStorage, *, force: bool) -> Sequence[BdevResult]: ...

    async def write_nvme_config(self, storage: EngineStorage) -> None:
        """Write daos_nvme.conf beside the superblock (before it); nothing to do without block devices."""
        ...

    async def check_nvme_config(self, storage: EngineStorage) -> None:
        """At engine start: regenerate the file when it cannot be parsed; a Fault when it is missing."""
        ...

    async def metadata_needs_format(self, storage: EngineStorage) -> bool:
        """False where control_metadata.path is not configured, or is ready for use (its device then is mounted)."""
        ...

    async def format_metadata(self, engines: Sequence[EngineStorage], *, force: bool = False) -> None:
        """Format the control metadata area (control_metadata.path) for all engines of the host, and leave it
        mounted. Its device is not touched, without force, where it holds anything that is not DAOS's."""
        ...

    async def unmount_scm(self, storage: EngineStorage) -> None: ...

    async def clean_up(self, storage: EngineStorage) -> None:
        """While its engine does not run: remove what its last process left of huge pages and locks of devices. A
        failure is only logged."""
        ...

    def check_memory(self, storage: EngineStorage) -> None:
        """Before an engine starts with a RAM disk: Fault 215 where the one that it has is larger than configured,
        Fault 214 where there is no memory for the one to be made."""
        ...

    def scm_usage(self, storage: EngineStorage) -> ScmUsage | None:
        """None where it is not mounted."""
        ...
