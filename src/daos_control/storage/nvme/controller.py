"""An NVMe controller as the helper's replies have it: the names are those of DAOS's JSON."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class NvmeNamespace:
    """Size in bytes."""

    wire_names: ClassVar[str] = "as written"

    id: int
    size: int


@dataclass(frozen=True, slots=True)
class NvmeHealth:
    """What an SSD tells of itself. Temperature in kelvin; times in minutes, power on in hours; link speed in
    transfers per second."""

    wire_names: ClassVar[str] = "as written"

    warn_temp_time: int = 0
    crit_temp_time: int = 0
    ctrl_busy_time: int = 0
    power_cycles: int = 0
    power_on_hours: int = 0
    unsafe_shutdowns: int = 0
    media_errs: int = 0
    err_log_entries: int = 0
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
    link_port_id: int = 0
    link_max_speed: float = 0.0
    link_max_width: int = 0
    link_neg_speed: float = 0.0
    link_neg_width: int = 0


@dataclass(frozen=True, slots=True)
class NvmeController:
    """One controller with its active namespaces. `socket_id` is its NUMA node, `vendor_id` as "0x8086", `pci_type`
    "pci", or "vmd" for a device behind one."""

    wire_names: ClassVar[str] = "as written"

    pci_addr: str
    model: str = ""
    serial: str = ""
    fw_rev: str = ""
    vendor_id: str = ""
    pci_type: str = ""
    socket_id: int = 0
    health_stats: NvmeHealth | None = None
    namespaces: tuple[NvmeNamespace, ...] = ()

    @property
    def capacity(self) -> int:
        """Bytes of all its namespaces."""
        return sum(namespace.size for namespace in self.namespaces)
