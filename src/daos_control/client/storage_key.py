"""The number by which DAOS's tools group hosts with equal storage.

Each class of `storage_types` has a table of what counts: the name that DAOS hashes, the attribute, and how its
value is hashed. What is not in a table (serial numbers, UUIDs, free memory) does not count.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from daos_control.client import structural_hash as h

if TYPE_CHECKING:
    from daos_control.client.storage_types import HostStorage

Hash = Callable[[Any], int]
Field = tuple[str, str, Hash]


def storage_key(storage: "HostStorage") -> int:
    """Equal for hosts with the same devices, in whatever order."""
    return _HOST(storage)


def _u8(value: int) -> int:
    return h.number(value, 1)


def _u16(value: int) -> int:
    return h.number(value, 2)


def _u32(value: int) -> int:
    return h.number(value, 4)


def _u64(value: int) -> int:
    return h.number(value, 8)


def _enum32(value: StrEnum) -> int:
    """A member by its place; the places are the numbers on the wire."""
    return _u32(list(type(value)).index(value))


def _record(name: str, fields: Iterable[Field]) -> Hash:
    table = tuple(fields)
    return lambda value: h.structure(name, {go: hash_(getattr(value, ours)) for go, ours, hash_ in table})


def _pointer(record: Hash) -> Hash:
    """What is not there counts as the number 0."""
    return lambda value: _u64(0) if value is None else record(value)


def _list(record: Hash) -> Hash:
    return lambda values: h.unordered((record(value) for value in values or ()), finished=False)


def _set(record: Hash) -> Hash:
    return lambda values: h.unordered((record(value) for value in values or ()), finished=True)


_NAMESPACE: Final = _record("NvmeNamespace", [("ID", "id", _u32), ("Size", "size", _u64)])

_HEALTH: Final = _record(
    "NvmeHealth",
    [
        ("Timestamp", "timestamp", _u64),
        ("TempWarnTime", "warn_temp_time", _u32),
        ("TempCritTime", "crit_temp_time", _u32),
        ("CtrlBusyTime", "ctrl_busy_time", _u64),
        ("PowerCycles", "power_cycles", _u64),
        ("PowerOnHours", "power_on_hours", _u64),
        ("UnsafeShutdowns", "unsafe_shutdowns", _u64),
        ("MediaErrors", "media_errs", _u64),
        ("ErrorLogEntries", "err_log_entries", _u64),
        ("ReadErrors", "bio_read_errs", _u32),
        ("WriteErrors", "bio_write_errs", _u32),
        ("UnmapErrors", "bio_unmap_errs", _u32),
        ("ChecksumErrors", "checksum_errs", _u32),
        ("Temperature", "temperature", _u32),
        ("TempWarn", "temp_warn", h.flag),
        ("AvailSpareWarn", "avail_spare_warn", h.flag),
        ("ReliabilityWarn", "dev_reliability_warn", h.flag),
        ("ReadOnlyWarn", "read_only_warn", h.flag),
        ("VolatileWarn", "volatile_mem_warn", h.flag),
        ("ProgFailCntNorm", "program_fail_cnt_norm", _u8),
        ("ProgFailCntRaw", "program_fail_cnt_raw", _u64),
        ("EraseFailCntNorm", "erase_fail_cnt_norm", _u8),
        ("EraseFailCntRaw", "erase_fail_cnt_raw", _u64),
        ("WearLevelingCntNorm", "wear_leveling_cnt_norm", _u8),
        ("WearLevelingCntMin", "wear_leveling_cnt_min", _u16),
        ("WearLevelingCntMax", "wear_leveling_cnt_max", _u16),
        ("WearLevelingCntAvg", "wear_leveling_cnt_avg", _u16),
        ("EndtoendErrCntRaw", "endtoend_err_cnt_raw", _u64),
        ("CrcErrCntRaw", "crc_err_cnt_raw", _u64),
        ("MediaWearRaw", "media_wear_raw", _u64),
        ("HostReadsRaw", "host_reads_raw", _u64),
        ("WorkloadTimerRaw", "workload_timer_raw", _u64),
        ("ThermalThrottleStatus", "thermal_throttle_status", _u8),
        ("ThermalThrottleEventCnt", "thermal_throttle_event_cnt", _u64),
        ("RetryBufferOverflowCnt", "retry_buffer_overflow_cnt", _u64),
        ("PllLockLossCnt", "pll_lock_loss_cnt", _u64),
        ("NandBytesWritten", "nand_bytes_written", _u64),
        ("HostBytesWritten", "host_bytes_written", _u64),
        ("ClusterSize", "cluster_size", _u64),
        ("MetaWalSize", "meta_wal_size", _u64),
        ("RdbWalSize", "rdb_wal_size", _u64),
        ("LinkPortId", "link_port_id", _u32),
        ("LinkMaxSpeed", "link_max_speed", h.float32),
        ("LinkMaxWidth", "link_max_width", _u32),
        ("LinkNegSpeed", "link_neg_speed", h.float32),
        ("LinkNegWidth", "link_neg_width", _u32),
    ],
)


def _controller(value: Any) -> int:
    return _CONTROLLER(value)  # a device names its controller, which lists its devices


_DEVICE: Final = _record(
    "SmdDevice",
    [
        ("UUID", "uuid", h.text),
        ("TargetIDs", "tgt_ids", _set(_u32)),
        ("Rank", "rank", _u32),
        ("TotalBytes", "total_bytes", _u64),
        ("AvailBytes", "avail_bytes", _u64),
        ("UsableBytes", "usable_bytes", _u64),
        ("ClusterSize", "cluster_size", _u64),
        ("MetaSize", "meta_size", _u64),
        ("MetaWalSize", "meta_wal_size", _u64),
        ("RdbSize", "rdb_size", _u64),
        ("RdbWalSize", "rdb_wal_size", _u64),
        ("Roles", "role_bits", lambda bits: h.structure("BdevRoles", {"OptionBits": _u16(bits)})),
        ("HasSysXS", "has_sys_xs", h.flag),
        ("Ctrlr", "ctrlr", _controller),
        ("CtrlrNamespaceID", "ctrlr_namespace_id", _u32),
    ],
)

_CONTROLLER: Final = _record(
    "NvmeController",
    [
        ("Info", "info", h.text),
        ("Model", "model", h.text),
        ("PciAddr", "pci_addr", h.text),
        ("FwRev", "fw_rev", h.text),
        ("VendorID", "vendor_id", h.text),
        ("PciType", "pci_type", h.text),
        ("SocketID", "socket_id", _u32),
        ("HealthStats", "health_stats", _pointer(_HEALTH)),
        ("Namespaces", "namespaces", _set(_NAMESPACE)),
        ("SmdDevices", "smd_devices", _set(_DEVICE)),
        ("NvmeState", "dev_state", _enum32),
        ("LedState", "led_state", _enum32),
    ],
)

_MODULE: Final = _record(
    "ScmModule",
    [
        *(
            (name, name, _u32)
            for name in ("ChannelID", "ChannelPosition", "ControllerID", "SocketID", "PhysicalID")
        ),
        ("Capacity", "Capacity", _u64),
        *((name, name, h.text) for name in ("UID", "PartNumber", "FirmwareRevision", "HealthState")),
    ],
)

_MOUNT: Final = _record(
    "ScmMountPoint",
    [
        ("Class", "class_", h.text),
        ("DeviceList", "device_list", _list(h.text)),
        ("Info", "info", h.text),
        ("Path", "path", h.text),
        ("Rank", "rank", _u32),
        ("TotalBytes", "total_bytes", _u64),
        ("AvailBytes", "avail_bytes", _u64),
        ("UsableBytes", "usable_bytes", _u64),
    ],
)

_SCM_NAMESPACE: Final = _record(
    "ScmNamespace",
    [
        ("BlockDevice", "blockdev", h.text),
        ("Name", "dev", h.text),
        ("NumaNode", "numa_node", _u32),
        ("Size", "size", _u64),
        ("Mount", "mount", _pointer(_MOUNT)),
    ],
)

_MEMORY: Final = _record(
    "MemInfo",
    [
        ("NumaNodeIndex", "numa_node_index", _u64),
        ("HugepageSizeKiB", "hugepage_size_kb", _u64),
        ("MemTotalKiB", "mem_total_kb", _u64),
    ],
)


def _system_memory(value: Any) -> int:
    nodes = _list(_MEMORY)(value.numa_nodes)
    return h.structure("SysMemInfo", {"MemInfo": _MEMORY(value), "NumaNodes": nodes})


# Pools stand in answers about devices never: DAOS hashes a map without entries there.
_SMD: Final = _record("SmdInfo", [("Devices", "devices", _set(_DEVICE)), ("Pools", "pools", lambda _: _u64(0))])

_HOST: Final = _record(
    "HostStorage",
    [
        ("NvmeDevices", "nvme_devices", _list(_CONTROLLER)),
        ("ScmModules", "scm_modules", _list(_MODULE)),
        ("ScmNamespaces", "scm_namespaces", _list(_SCM_NAMESPACE)),
        ("ScmMountPoints", "scm_mount_points", _list(_MOUNT)),
        ("SmdInfo", "smd_info", _pointer(_SMD)),
        ("RebootRequired", "reboot_required", h.flag),
        ("SysMemInfo", "mem_info", _pointer(_system_memory)),
    ],
)
