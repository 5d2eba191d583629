"""The storage of a host, as its server reports it. Sizes are in bytes unless a name says otherwise.

The fields stand in the order and under the names of DAOS's JSON.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Final, Self, TypeVar

from daos_control.client.model import KEEP_EMPTY, NOT_FOLDED, named, plural
from daos_control.system import sizes
from daos_control.system.member import NIL_RANK

if TYPE_CHECKING:
    from daos_control.proto.ctl import smd_pb2, storage_pb2, storage_scm_pb2

SYS_XSTREAM_TARGET: Final = 1024  # the target id under which an engine lists its system stream
E = TypeVar("E", bound=StrEnum)
NIL_ADDRESS: Final = "<nil>"  # where a server reports that it formatted no device


class Role(IntFlag):
    """What a block device is used for; the numbers are on the wire."""

    NONE = 0
    DATA = 1
    META = 2
    WAL = 4


class DeviceState(StrEnum):
    """State of an NVMe device; the order is that of the numbers on the wire."""

    UNKNOWN = "UNKNOWN"
    NORMAL = "NORMAL"
    NEW = "NEW"
    EVICTED = "EVICTED"
    UNPLUGGED = "UNPLUGGED"


class LedState(StrEnum):
    """State of a device's LED; the order is that of the numbers on the wire."""

    NA = "NA"
    QUICK_BLINK = "QUICK_BLINK"
    ON = "ON"
    SLOW_BLINK = "SLOW_BLINK"
    OFF = "OFF"


def format_roles(roles: Role) -> str:
    """ "data,meta,wal" in alphabetical order, or "NA"."""
    names = sorted(str(role.name).lower() for role in (Role.DATA, Role.META, Role.WAL) if role in roles)
    return ",".join(names) or "NA"


@dataclass(frozen=True, slots=True)
class NvmeHealth:
    """Health of an NVMe controller; temperatures in kelvin, times in minutes (power on: hours)."""

    timestamp: int = 0
    warn_temp_time: int = 0
    crit_temp_time: int = 0
    ctrl_busy_time: int = 0
    power_cycles: int = 0
    power_on_hours: int = 0
    unsafe_shutdowns: int = 0
    media_errs: int = 0
    err_log_entries: int = 0
    bio_read_errs: int = 0
    bio_write_errs: int = 0
    bio_unmap_errs: int = 0
    checksum_errs: int = 0
    temperature: int = 0
    temp_warn: bool = False
    avail_spare_warn: bool = False
    dev_reliability_warn: bool = False
    read_only_warn: bool = False
    volatile_mem_warn: bool = False
    program_fail_cnt_norm: int = 0
    program_fail_cnt_raw: int = 0
    erase_fail_cnt_norm: int = 0
    erase_fail_cnt_raw: int = 0
    wear_leveling_cnt_norm: int = 0
    wear_leveling_cnt_min: int = 0
    wear_leveling_cnt_max: int = 0
    wear_leveling_cnt_avg: int = 0
    endtoend_err_cnt_raw: int = 0
    crc_err_cnt_raw: int = 0
    media_wear_raw: int = 0
    host_reads_raw: int = 0
    workload_timer_raw: int = 0
    thermal_throttle_status: int = 0
    thermal_throttle_event_cnt: int = 0
    retry_buffer_overflow_cnt: int = 0
    pll_lock_loss_cnt: int = 0
    nand_bytes_written: int = 0
    host_bytes_written: int = 0
    cluster_size: int = 0
    meta_wal_size: int = 0
    rdb_wal_size: int = 0
    link_port_id: int = 0
    link_max_speed: float = 0.0
    link_max_width: int = 0
    link_neg_speed: float = 0.0
    link_neg_width: int = 0

    @classmethod
    def from_proto(cls, message: "smd_pb2.BioHealthResp") -> Self:
        # The names of the fields are those of the message.
        values = {name: getattr(message, name) for name in cls.__dataclass_fields__}
        for name in ("link_max_speed", "link_neg_speed"):
            values[name] = shortest_float(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class NvmeNamespace:
    id: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class SmdDevice:
    """A blobstore device of an engine, on a namespace of a controller."""

    role_bits: int = 0
    uuid: str = ""
    tgt_ids: tuple[int, ...] | None = field(metadata=KEEP_EMPTY, default=None)
    rank: int = 0
    total_bytes: int = 0
    avail_bytes: int = 0
    usable_bytes: int = 0
    cluster_size: int = 0
    meta_size: int = 0
    meta_wal_size: int = 0
    rdb_size: int = 0
    rdb_wal_size: int = 0
    roles: str = "NA"
    has_sys_xs: bool = False
    # Filled in queries of devices only: there it says which controller the device is on.
    ctrlr: "NvmeController" = field(default_factory=lambda: NvmeController())
    ctrlr_namespace_id: int = 0

    @property
    def role(self) -> Role:
        return Role(self.role_bits & (Role.DATA | Role.META | Role.WAL))

    @classmethod
    def of_roles(cls, bits: int) -> Self:
        return cls(role_bits=bits, roles=format_roles(Role(bits & 7)))

    @classmethod
    def from_proto(cls, message: "smd_pb2.SmdDevice") -> Self:
        targets = tuple(dict.fromkeys(t for t in message.tgt_ids if t != SYS_XSTREAM_TARGET))
        return cls(
            role_bits=message.role_bits,
            uuid=message.uuid,
            tgt_ids=targets,
            rank=message.rank,
            total_bytes=message.total_bytes,
            avail_bytes=message.avail_bytes,
            usable_bytes=message.usable_bytes,
            cluster_size=message.cluster_size,
            meta_size=message.meta_size,
            meta_wal_size=message.meta_wal_size,
            rdb_size=message.rdb_size,
            rdb_wal_size=message.rdb_wal_size,
            roles=format_roles(Role(message.role_bits & 7)),
            has_sys_xs=SYS_XSTREAM_TARGET in message.tgt_ids,
            ctrlr=NvmeController.from_proto(message.ctrlr) if message.HasField("ctrlr") else NvmeController(),
            ctrlr_namespace_id=message.ctrlr_namespace_id,
        )


@dataclass(frozen=True, slots=True)
class NvmeController:
    """An NVMe device, with its namespaces and the blobstores on it."""

    info: str = ""
    model: str = ""
    serial: str = field(metadata=NOT_FOLDED, default="")
    pci_addr: str = ""
    fw_rev: str = ""
    vendor_id: str = ""
    pci_type: str = ""  # DAOS's client prints it and never fills it
    socket_id: int = 0
    health_stats: NvmeHealth | None = None
    namespaces: tuple[NvmeNamespace, ...] = ()
    smd_devices: tuple[SmdDevice, ...] = ()
    dev_state: DeviceState = DeviceState.UNKNOWN
    led_state: LedState = LedState.NA

    @classmethod
    def from_proto(cls, message: "smd_pb2.NvmeController") -> Self:
        health = NvmeHealth.from_proto(message.health_stats) if message.HasField("health_stats") else None
        return cls(
            model=message.model,
            serial=message.serial,
            pci_addr=message.pci_addr,
            fw_rev=message.fw_rev,
            vendor_id=message.vendor_id,
            socket_id=message.socket_id,
            health_stats=health,
            namespaces=tuple(NvmeNamespace(n.id, n.size) for n in message.namespaces),
            smd_devices=tuple(SmdDevice.from_proto(d) for d in message.smd_devices),
            dev_state=_member(DeviceState, message.dev_state),
            led_state=_member(LedState, message.led_state),
        )

    @property
    def capacity(self) -> int:
        return sum(namespace.size for namespace in self.namespaces)

    @property
    def total(self) -> int:
        return sum(device.total_bytes for device in self.smd_devices)

    @property
    def free(self) -> int:
        return sum(device.avail_bytes for device in self.smd_devices)

    @property
    def usable(self) -> int:
        return sum(device.usable_bytes for device in self.smd_devices)

    @property
    def role(self) -> Role:
        """The roles of its devices: all of a controller's have the same."""
        return self.smd_devices[0].role if self.smd_devices else Role.NONE

    @property
    def rank(self) -> int:
        return self.smd_devices[0].rank if self.smd_devices else NIL_RANK


@dataclass(frozen=True, slots=True)
class ScmModule:
    """A module of persistent memory."""

    ChannelID: int = 0
    ChannelPosition: int = 0
    ControllerID: int = 0
    SocketID: int = 0
    PhysicalID: int = 0
    Capacity: int = 0
    UID: str = ""
    PartNumber: str = ""
    FirmwareRevision: str = ""
    HealthState: str = ""

    @classmethod
    def from_proto(cls, m: "storage_scm_pb2.ScmModule") -> Self:
        return cls(
            m.channelid,
            m.channelposition,
            m.controllerid,
            m.socketid,
            m.physicalid,
            m.capacity,
            m.uid,
            m.partNumber,
            m.firmwareRevision,
            m.healthState,
        )


@dataclass(frozen=True, slots=True)
class ScmMountPoint:
    """Where the SCM of an engine is mounted; `class_` is "ram" or "dcpm"."""

    class_: str = field(metadata=named("class"), default="")
    device_list: tuple[str, ...] = ()
    info: str = ""
    path: str = ""
    rank: int = 0
    total_bytes: int = 0
    avail_bytes: int = 0
    usable_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ScmNamespace:
    """A block device of persistent memory, or a RAM disk; with its mount once it is mounted."""

    uuid: str = field(metadata=NOT_FOLDED, default="")
    blockdev: str = ""
    dev: str = ""
    numa_node: int = 0
    size: int = 0
    mount: ScmMountPoint | None = None

    @classmethod
    def from_proto(cls, m: "storage_scm_pb2.ScmNamespace") -> Self:
        mount = None
        if m.HasField("mount"):
            mount = ScmMountPoint(
                class_=getattr(m.mount, "class"),
                device_list=tuple(m.mount.device_list),
                path=m.mount.path,
                rank=m.mount.rank,
                total_bytes=m.mount.total_bytes,
                avail_bytes=m.mount.avail_bytes,
                usable_bytes=m.mount.usable_bytes,
            )
        return cls(m.uuid, m.blockdev, m.dev, m.numa_node, m.size, mount)


@dataclass(frozen=True, slots=True)
class MemoryInfo:
    """Memory of a NUMA node, in KiB; pages are counts."""

    numa_node_index: int = 0
    hugepages_total: int = field(metadata=NOT_FOLDED, default=0)
    hugepages_free: int = field(metadata=NOT_FOLDED, default=0)
    hugepages_reserved: int = field(metadata=NOT_FOLDED, default=0)
    hugepages_surplus: int = field(metadata=NOT_FOLDED, default=0)
    hugepage_size_kb: int = 0
    mem_total_kb: int = 0
    mem_free_kb: int = field(metadata=NOT_FOLDED, default=0)
    mem_available_kb: int = field(metadata=NOT_FOLDED, default=0)
    mem_used_kb: int = field(metadata=NOT_FOLDED, default=0)


@dataclass(frozen=True, slots=True)
class SystemMemoryInfo(MemoryInfo):
    """Memory of a host, and of each of its NUMA nodes."""

    numa_nodes: tuple[MemoryInfo, ...] = ()

    @classmethod
    def from_proto(cls, m: "storage_pb2.SysMemInfo") -> Self:
        nodes = (
            MemoryInfo(
                numa_node_index=n.numa_node_index,
                hugepages_total=n.hugepages_total,
                hugepages_free=n.hugepages_free,
                hugepages_surplus=n.hugepages_surplus,
                mem_total_kb=n.mem_total_kb,
                mem_free_kb=n.mem_free_kb,
                mem_used_kb=n.mem_used_kb,
            )
            for n in m.numa_nodes
        )
        return cls(
            hugepages_total=m.hugepages_total,
            hugepages_free=m.hugepages_free,
            hugepages_reserved=m.hugepages_reserved,
            hugepages_surplus=m.hugepages_surplus,
            hugepage_size_kb=m.hugepage_size_kb,
            mem_total_kb=m.mem_total_kb,
            mem_free_kb=m.mem_free_kb,
            mem_available_kb=m.mem_available_kb,
            numa_nodes=tuple(nodes),
        )


@dataclass(frozen=True, slots=True)
class SmdInfo:
    """What engines said of the devices that they use."""

    devices: tuple[SmdDevice, ...] = ()
    pools: None = None


@dataclass(frozen=True, slots=True)
class HostStorage:
    """All that a host said of its storage."""

    nvme_devices: tuple[NvmeController, ...] = ()
    scm_modules: tuple[ScmModule, ...] = ()
    scm_namespaces: tuple[ScmNamespace, ...] = ()
    scm_mount_points: tuple[ScmMountPoint, ...] = ()
    smd_info: SmdInfo | None = None
    reboot_required: bool = False
    mem_info: SystemMemoryInfo | None = None

    @property
    def scm_summary(self) -> str:
        """ "3.0 TB (2 namespaces)", or the modules where no namespaces have been made."""
        if self.scm_namespaces:
            total = sum(namespace.size for namespace in self.scm_namespaces)
            return f"{sizes.format_decimal(total)} ({plural(len(self.scm_namespaces), 'namespace')})"
        total = sum(module.Capacity for module in self.scm_modules)
        return f"{sizes.format_binary(total)} ({plural(len(self.scm_modules), 'module')})"

    @property
    def nvme_summary(self) -> str:
        total = sum(device.capacity for device in self.nvme_devices)
        return f"{sizes.format_decimal(total)} ({plural(len(self.nvme_devices), 'controller')})"

    @property
    def has_roles(self) -> bool:
        """Whether metadata lives on SSDs (MD-on-SSD)."""
        return bool(self.nvme_devices) and self.nvme_devices[0].role != Role.NONE

    def scm_bytes(self) -> tuple[int, int, int]:
        """Total, available and usable bytes of the mounted SCM."""
        mounts = [n.mount for n in self.scm_namespaces if n.mount is not None]
        return (
            sum(mount.total_bytes for mount in mounts),
            sum(mount.avail_bytes for mount in mounts),
            sum(mount.usable_bytes for mount in mounts),
        )


def nvme_bytes(devices: Iterable[NvmeController]) -> tuple[int, int, int]:
    """Total, available and usable bytes of the blobstores on `devices`."""
    devices = tuple(devices)
    return sum(d.total for d in devices), sum(d.free for d in devices), sum(d.usable for d in devices)


def shortest_float(value: float) -> float:
    """A number whose shortest decimal form is that of the 32-bit float `value`."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("f", short) == struct.pack("f", value):
            return short
    return value


def _member(kind: type[E], number: int) -> E:
    members = list(kind)
    return members[number] if 0 <= number < len(members) else members[0]
