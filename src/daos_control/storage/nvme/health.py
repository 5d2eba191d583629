"""Health of an SSD: SPDK's answer, the vendor's log page, and the PCIe link, as one record."""

from collections.abc import Mapping
from typing import Any

from daos_control.faults import bdev as faults
from daos_control.storage.nvme.controller import NvmeHealth
from daos_control.storage.nvme.pcie import Link

INTEL_SMART_LOG = 0xCA
INTEL_SMART_BYTES = 512

_KELVIN_AT_0_CELSIUS = 273
_ENTRY_BYTES = 12
# Bits of the critical warning.
_SPARE, _TEMPERATURE, _RELIABILITY, _READ_ONLY, _VOLATILE = 1, 2, 4, 8, 16
_COUNTS = {
    "warn_temp_time": "warning_temperature_time_minutes",
    "crit_temp_time": "critical_composite_temperature_time_minutes",
    "ctrl_busy_time": "controller_busy_time",
    "power_cycles": "power_cycles",
    "power_on_hours": "power_on_hours",
    "unsafe_shutdowns": "unsafe_shutdowns",
    "media_errs": "media_errors",
    "err_log_entries": "num_err_log_entries",
}
# Attributes of Intel's log page: those that are a plain number, by their code.
_PLAIN = {
    0xB8: "endtoend_err_cnt_raw",
    0xC7: "crc_err_cnt_raw",
    0xE2: "media_wear_raw",
    0xE3: "host_reads_raw",
    0xE4: "workload_timer_raw",
    0xF0: "retry_buffer_overflow_cnt",
    0xF3: "pll_lock_loss_cnt",
    0xF4: "nand_bytes_written",
    0xF5: "host_bytes_written",
}
_PROGRAM_FAIL, _ERASE_FAIL, _WEAR, _THROTTLE = 0xAB, 0xAC, 0xAD, 0xEA


def of(device: str, answer: Any, vendor_log: bytes = b"", link: Link | None = None) -> NvmeHealth:
    """One record out of the answer to bdev_nvme_get_controller_health_info. Fault 801 where that is none."""
    if not isinstance(answer, Mapping):
        raise faults.no_health(device, "SPDK's answer has another form")
    warning = _count(device, answer, "critical_warning")
    link = link or Link()
    return NvmeHealth(
        **{name: _count(device, answer, key) for name, key in _COUNTS.items()},
        temperature=max(_signed(_count(device, answer, "temperature_celsius")) + _KELVIN_AT_0_CELSIUS, 0),
        temp_warn=bool(warning & _TEMPERATURE),
        avail_spare_warn=bool(warning & _SPARE),
        dev_reliability_warn=bool(warning & _RELIABILITY),
        read_only_warn=bool(warning & _READ_ONLY),
        volatile_mem_warn=bool(warning & _VOLATILE),
        **vendor_attributes(vendor_log),
        link_port_id=link.port,
        link_max_speed=link.max_speed,
        link_max_width=link.max_width,
        link_neg_speed=link.speed,
        link_neg_width=link.width,
    )


def vendor_attributes(page: bytes) -> dict[str, int]:
    """The fields that Intel's additional SMART log page gives; what it does not have is left out."""
    found: dict[str, int] = {}
    for at in range(0, len(page) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        entry = page[at : at + _ENTRY_BYTES]
        code, normalized, raw = entry[0], entry[3], entry[5:11]
        number = int.from_bytes(raw, "little")
        if code in _PLAIN:
            found[_PLAIN[code]] = number
        elif code == _PROGRAM_FAIL:
            found |= {"program_fail_cnt_norm": normalized, "program_fail_cnt_raw": number}
        elif code == _ERASE_FAIL:
            found |= {"erase_fail_cnt_norm": normalized, "erase_fail_cnt_raw": number}
        elif code == _WEAR:
            names = ("wear_leveling_cnt_min", "wear_leveling_cnt_max", "wear_leveling_cnt_avg")
            found["wear_leveling_cnt_norm"] = normalized
            found |= {name: int.from_bytes(raw[2 * i : 2 * i + 2], "little") for i, name in enumerate(names)}
        elif code == _THROTTLE:
            found["thermal_throttle_status"] = raw[0]
            found["thermal_throttle_event_cnt"] = int.from_bytes(raw[1:5], "little")
    return found


def _count(device: str, answer: Mapping[str, Any], key: str) -> int:
    """SPDK writes 128-bit counters as numbers, or as text where they are longer than 64 bits."""
    value = answer.get(key)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if type(value) is not int or value < 0:
        raise faults.no_health(device, f"{key} is {value!r}")
    return min(value, 2**64 - 1)


def _signed(value: int) -> int:
    """A temperature below zero comes as a number that has lost its sign."""
    return value - 2**64 if value >= 2**63 else value
