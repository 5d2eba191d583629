"""Modules that the platform describes to the kernel (ACPI NFIT), out of sysfs.

All kinds are here, Optane among them; of the others (NVDIMM-N, a virtual machine's) nobody else knows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daos_control.storage.pmem import programs
from daos_control.storage.pmem.decisions import platform_view
from daos_control.storage.pmem.model import KernelRegion, Module, Namespace, Survey
from daos_control.storage.pmem.outputs import ndctl_namespaces, ndctl_regions

SYSFS = Path("/sys")
OPTANE_VENDOR = 0x8089

_MODULE = re.compile(r"^nmem\d+$")
_REGION = re.compile(r"^region\d+$")


@dataclass(frozen=True, slots=True)
class KernelModule:
    """A module: the kernel's name of it ("nmem0"), its vendor, and whether it has a label area."""

    name: str
    vendor: int
    labels: bool
    module: Module


def modules() -> list[KernelModule]:
    """All modules that the kernel knows, by physical id; empty where there are none."""
    devices = SYSFS / "bus" / "nd" / "devices"
    names = sorted(entry.name for entry in devices.iterdir()) if devices.is_dir() else []
    mappings = [_mapping(devices / name) for name in names if _REGION.match(name)]
    found = [_module(devices / name, mappings) for name in names if _MODULE.match(name)]
    return sorted(found, key=lambda module: (module.module.physical_id, module.name))


def survey(socket: int | None) -> Survey:
    """What there is on a NUMA node, or on all; disabled regions and namespaces as well. Raises Fault 1,
    ProgramError or OutputError."""
    regions, namespaces = kernel_regions(socket), configured(socket)
    return Survey(False, platform_view(regions, namespaces), regions, namespaces)


def kernel_regions(socket: int | None) -> tuple[KernelRegion, ...]:
    """The kernel's regions of persistent memory, disabled ones as well."""
    listed = ndctl_regions(programs.run([programs.NDCTL, "list", "-R", "-v", "-i", *_node(socket)]))
    known = {module.name: module for module in modules()}
    devices = SYSFS / "bus" / "nd" / "devices"
    found = []
    for region in listed:
        names = region.modules or _mapping(devices / region.name).modules
        labels = bool(names) and all(name in known and known[name].labels for name in names)
        found.append(replace(region, modules=names, labels=labels))
    return tuple(found)


def namespaces(socket: int | None) -> tuple[Namespace, ...]:
    """The namespaces that are enabled."""
    return ndctl_namespaces(programs.run([programs.NDCTL, "list", "-N", "-v", *_node(socket)]))


def configured(socket: int | None) -> tuple[Namespace, ...]:
    """All namespaces, disabled ones as well."""
    return ndctl_namespaces(programs.run([programs.NDCTL, "list", "-N", "-v", "-c", *_node(socket)]))


def _node(socket: int | None) -> Sequence[str]:
    return () if socket is None else ("--numa-node", str(socket))


@dataclass(frozen=True, slots=True)
class _Mapping:
    numa_node: int
    modules: tuple[str, ...]
    lengths: tuple[int, ...]


def _mapping(region: Path) -> _Mapping:
    """Which modules a region lies on, and with how many bytes of each."""
    count = _read(region / "mappings")
    parts = [_read(region / f"mapping{index}").split(",") for index in range(int(count) if count.isdigit() else 0)]
    parts = [part for part in parts if len(part) >= 3 and part[2].isdigit()]
    node = _read(region / "numa_node")
    return _Mapping(
        numa_node=int(node) if node.isdigit() else 0,
        modules=tuple(part[0] for part in parts),
        lengths=tuple(int(part[2]) for part in parts),
    )


def _module(device: Path, mappings: Sequence[_Mapping]) -> KernelModule:
    nfit = device / "nfit"
    handle = _number(nfit / "handle")
    own = [
        (mapping.numa_node, length)
        for mapping in mappings
        for name, length in zip(mapping.modules, mapping.lengths, strict=True)
        if name == device.name
    ]
    flags = _read(nfit / "flags")
    vendor = _number(nfit / "vendor")
    module = Module(
        # The fields of the handle, as ACPI has them.
        channel_position=handle & 0xF,
        channel_id=handle >> 4 & 0xF,
        controller_id=handle >> 8 & 0xF,
        socket_id=own[0][0] if own else handle >> 12 & 0xF,
        physical_id=_number(nfit / "phys_id"),
        capacity=sum(length for _, length in own),
        uid=_read(nfit / "id"),
        part_number=f"{vendor:04x}-{_number(nfit / 'device'):04x}",
        firmware_revision="",
        health_state="Healthy" if not set(flags.split()) - {"smart_notify"} else flags,
    )
    labels = "set_data" in _read(device / "commands").split()
    return KernelModule(device.name, vendor, labels, module)


def _number(path: Path) -> int:
    try:
        return int(_read(path), 0)
    except ValueError:
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
