"""Storage devices as text: what a scan found, what a format did."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from daos_control.cli.print_hosts import shown_hosts
from daos_control.cli.table import indent, ruled, table
from daos_control.client.model import HostGroup
from daos_control.client.storage_types import (
    NIL_ADDRESS,
    HostStorage,
    NvmeController,
    NvmeHealth,
    ScmModule,
    ScmNamespace,
    format_roles,
)
from daos_control.system import sizes
from daos_control.system.member import NIL_RANK

Groups = Sequence[HostGroup[HostStorage]]


def summary(groups: Groups) -> str:
    """One line for each group of hosts with equal storage."""
    if not groups:
        return ""
    rows = [
        {
            "Hosts": shown_hosts(group.hosts),
            "SCM Total": group.content.scm_summary,
            "NVMe Total": group.content.nvme_summary,
        }
        for group in groups
    ]
    return table(["Hosts", "SCM Total", "NVMe Total"], rows)


def devices(groups: Groups) -> str:
    """Each device of each group of hosts."""
    text = ""
    for group in groups:
        found = group.content
        page_kib = found.mem_info.hugepage_size_kb if found.mem_info else 0
        scm = scm_namespaces(found.scm_namespaces) if found.scm_namespaces else scm_modules(found.scm_modules)
        text += f"{ruled(shown_hosts(group.hosts))}HugePage Size: {page_kib} KB\n\n{scm}\n"
        text += f"{nvme_controllers(found.nvme_devices)}\n"
    return text


def format_summary(groups: Groups) -> str:
    """How many devices each group of hosts has formatted."""
    if not groups:
        return ""
    rows = [
        {
            "Hosts": shown_hosts(group.hosts),
            "SCM Devices": str(len(group.content.scm_mount_points)),
            "NVMe Devices": str(len(_formatted(group.content.nvme_devices))),
        }
        for group in groups
    ]
    return "Format Summary:\n" + indent(table(["Hosts", "SCM Devices", "NVMe Devices"], rows))


def formatted_devices(groups: Groups) -> str:
    """Each device that was formatted."""
    text = ""
    for group in groups:
        mounts = sorted(group.content.scm_mount_points, key=lambda mount: mount.path)
        scm = "  No SCM mount results\n"
        if mounts:
            scm = table(
                ["SCM Mount", "Format Result"],
                [{"SCM Mount": mount.path, "Format Result": mount.info} for mount in mounts],
            )
        text += f"{ruled(shown_hosts(group.hosts))}{scm}\n{_format_results(group.content.nvme_devices)}\n"
    return text


def nvme_health(groups: Groups) -> str:
    """The health of each NVMe device."""
    text = ""
    for group in groups:
        text += ruled(shown_hosts(group.hosts))
        if not group.content.nvme_devices:
            text += "  No NVMe devices detected\n"
        for controller in group.content.nvme_devices:
            text += (
                f"PCI:{controller.pci_addr} Model:{controller.model} FW:{controller.fw_rev} "
                f"Socket:{controller.socket_id} Capacity:{sizes.format_decimal(controller.capacity)}\n"
                f"{indent(_health(controller.health_stats))}\n"
            )
    return text


def scm_modules(modules: Iterable[ScmModule]) -> str:
    """A table of modules of persistent memory."""
    rows = [
        {
            "SCM Module": str(m.PhysicalID),
            "Socket": str(m.SocketID),
            "Memory Ctrlr": str(m.ControllerID),
            "Channel": str(m.ChannelID),
            "Channel Slot": str(m.ChannelPosition),
            "Capacity": sizes.format_binary(m.Capacity),
            "UID": m.UID,
            "Part Number": m.PartNumber,
            "Health": m.HealthState,
        }
        for m in sorted(modules, key=lambda m: m.PhysicalID)
    ]
    return table(list(rows[0]), rows) if rows else "  No SCM modules found\n"


def scm_namespaces(namespaces: Iterable[ScmNamespace]) -> str:
    """A table of namespaces of persistent memory."""
    rows = [
        {"SCM Namespace": n.blockdev, "Socket": str(n.numa_node), "Capacity": sizes.format_decimal(n.size)}
        for n in sorted(namespaces, key=lambda n: n.blockdev)
    ]
    return table(["SCM Namespace", "Socket", "Capacity"], rows)


def nvme_controllers(controllers: Iterable[NvmeController]) -> str:
    """A table of NVMe devices."""
    rows = [
        {
            "NVMe PCI": c.pci_addr,
            "Model": c.model,
            "FW Revision": c.fw_rev,
            "Socket": str(c.socket_id),
            "Capacity": sizes.format_decimal(c.capacity),
            "Role(s)": format_roles(c.role),
            "Rank": "None" if c.rank == NIL_RANK else str(c.rank),
        }
        for c in sorted(controllers, key=lambda c: c.pci_addr)
    ]
    return table(list(rows[0]), rows) if rows else "  No NVMe devices found\n"


def _formatted(controllers: Iterable[NvmeController]) -> list[NvmeController]:
    """Without the entries that only say that there was nothing to format."""
    return [c for c in controllers if c.pci_addr != NIL_ADDRESS]


def _format_results(controllers: Iterable[NvmeController]) -> str:
    rows = [
        {
            "NVMe PCI": c.pci_addr,
            "Format Result": c.info,
            "Role(s)": c.smd_devices[0].roles if c.smd_devices else "NA",
        }
        for c in sorted(_formatted(controllers), key=lambda c: c.pci_addr)
    ]
    if not rows:
        return "  No NVMe devices were formatted\n"
    return table(["NVMe PCI", "Format Result", "Role(s)"], rows)


def _health(stats: NvmeHealth | None) -> str:
    if stats is None:
        return "Health Stats Unavailable\n"
    measured = stats.timestamp > 0
    lines = []
    if measured:
        lines.append(f"Timestamp:{_local_time(stats.timestamp)}")
    lines.append(f"Temperature:{stats.temperature}K({stats.temperature - 273.15:.2f}C)")
    if stats.warn_temp_time:
        lines.append(f"Temperature Warning Duration:{_minutes(stats.warn_temp_time)}")
    if stats.crit_temp_time:
        lines.append(f"Temperature Critical Duration:{_minutes(stats.crit_temp_time)}")
    lines += [
        f"Controller Busy Time:{_minutes(stats.ctrl_busy_time)}",
        f"Power Cycles:{stats.power_cycles}",
        f"Power On Duration:{_minutes(stats.power_on_hours * 60)}",
        f"Unsafe Shutdowns:{stats.unsafe_shutdowns}",
        f"Media Errors:{stats.media_errs}",
    ]
    if measured:
        lines += [
            f"Read Errors:{stats.bio_read_errs}",
            f"Write Errors:{stats.bio_write_errs}",
            f"Unmap Errors:{stats.bio_unmap_errs}",
            f"Checksum Errors:{stats.checksum_errs}",
        ]
    lines.append(f"Error Log Entries:{stats.err_log_entries}")
    warnings = [
        f"{name}: {'WARNING' if warned else 'OK'}"
        for name, warned in (
            ("Temperature", stats.temp_warn),
            ("Available Spare", stats.avail_spare_warn),
            ("Device Reliability", stats.dev_reliability_warn),
            ("Read Only", stats.read_only_warn),
            ("Volatile Memory Backup", stats.volatile_mem_warn),
        )
    ]
    link = [
        f"Port: #{stats.link_port_id}",
        f"Max Speed: {_transfers(stats.link_max_speed)}",
        f"Negotiated Speed: {_transfers(stats.link_neg_speed)}",
        f"Max Width: x{stats.link_max_width}",
        f"Negotiated Width: x{stats.link_neg_width}",
    ]
    text = _section("Health Stats", lines) + _section("Critical Warnings", warnings)
    if stats.program_fail_cnt_norm:
        text += _section("Intel Vendor SMART Attributes", _vendor(stats))
    return text + _section("PCIe Link Info", link)


def _vendor(stats: NvmeHealth) -> list[str]:
    return [
        "Program Fail Count:",
        f"   Normalized:{stats.program_fail_cnt_norm}%",
        f"   Raw:{stats.program_fail_cnt_raw}",
        "Erase Fail Count:",
        f"   Normalized:{stats.erase_fail_cnt_norm}%",
        f"   Raw:{stats.erase_fail_cnt_raw}",
        "Wear Leveling Count:",
        f"   Normalized:{stats.wear_leveling_cnt_norm}%",
        f"   Min:{stats.wear_leveling_cnt_min}",
        f"   Max:{stats.wear_leveling_cnt_max}",
        f"   Avg:{stats.wear_leveling_cnt_avg}",
        f"End-to-End Error Detection Count:{stats.endtoend_err_cnt_raw}",
        f"CRC Error Count:{stats.crc_err_cnt_raw}",
        f"Timed Workload, Media Wear:{stats.media_wear_raw}",
        f"Timed Workload, Host Read/Write Ratio:{stats.host_reads_raw}",
        f"Timed Workload, Timer:{stats.workload_timer_raw}",
        f"Thermal Throttle Status:{stats.thermal_throttle_status}%",
        f"Thermal Throttle Event Count:{stats.thermal_throttle_event_cnt}",
        f"Retry Buffer Overflow Counter:{stats.retry_buffer_overflow_cnt}",
        f"PLL Lock Loss Count:{stats.pll_lock_loss_cnt}",
        f"NAND Bytes Written:{stats.nand_bytes_written}",
        f"Host Bytes Written:{stats.host_bytes_written}",
    ]


def _section(title: str, lines: Iterable[str]) -> str:
    return f"{title}:\n" + "".join(f"  {line}\n" for line in lines)


def _local_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


def _minutes(minutes: int) -> str:
    """ "60h0m0s", "5m0s", "0s"."""
    if minutes == 0:
        return "0s"
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest}m0s" if hours else f"{rest}m0s"


def _transfers(rate: float) -> str:
    """Transfers per second with the prefix of their size: "8 GT/s"."""
    prefixes = ["", "k", "M", "G", "T", "P", "E"]
    power = 0 if rate < 1 else min(int(math.log10(rate) // 3), len(prefixes) - 1)
    text = f"{rate / 1000**power:.6f}".rstrip("0").rstrip(".")
    return f"{text} {prefixes[power]}T/s"
