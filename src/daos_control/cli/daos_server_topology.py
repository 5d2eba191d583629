"""What `daos_server dump-topology` prints, in the layout of DAOS's."""

import math
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from daos_control.faults import ControlError
from daos_control.system import sizes
from daos_control.system.ranks import RankSet

if TYPE_CHECKING:
    from daos_control.network.pci import BlockDevice, PciAddress, PciBus, PciDevice
    from daos_control.network.topology import NodeTopology, Topology, VirtualDevice

_GIGA = 1e9
_PREFIXES = ("", "k", "M", "G", "T", "P")
_NETWORK = 1


def look() -> "Topology":
    """The topology of this host."""
    from daos_control.network.topology import topology

    return topology()


def write(output: str) -> None:
    """Write the topology of this host into a file, or to the standard output for "stdout"."""
    text = as_text(look())
    if output == "stdout":
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ControlError(f'failed to create "{output}": {error.strerror or error}') from error


def as_text(topology: "Topology") -> str:
    """NUMA nodes with cores, buses and their devices; then interfaces without a device of their own."""
    lines = [line for node in topology.nodes for line in _node(node)]
    if topology.virtual_devices:
        lines.append("Virtual Devices")
        for device in topology.virtual_devices:
            lines.append(f"  {device.name} (network interface)")
            if device.backing is not None:
                lines.append(f"    backed by: {_device(device.backing)}")
    return "\n".join(lines) + "\n"


def _node(node: "NodeTopology") -> Iterator[str]:
    yield f"NUMA Node {node.index}"
    yield f"  CPU cores: {RankSet(node.cores)}"
    yield "  PCI buses:"
    for bus in node.buses:
        yield f"    {bus}"
        for address, devices in _by_address(device for device in node.devices if bus.contains(device.address)):
            yield f"      {address}"
            yield from (f"        {_device(device)}" for device in devices)
    if node.memory_devices:
        yield "  Non-PCI block devices:"
        for memory in node.memory_devices:
            size = f"{sizes.format_decimal(memory.size_bytes)} " if memory.size_bytes else ""
            yield f"    {memory.name} ({size}{memory.kind})"


def _by_address(devices: "Iterable[PciDevice]") -> "Iterator[tuple[PciAddress, list[PciDevice]]]":
    for address, group in groupby(devices, key=lambda device: device.address):
        yield address, list(group)


def _device(device: "PciDevice") -> str:
    size = f"{sizes.format_decimal(device.block.size_bytes)} " if device.block is not None else ""
    speed = f" @ {_scaled(device.link_gbps * _GIGA)}T/s" if device.link_gbps else ""
    return f"{device.address} {device.name} ({size}{device.type.words}){speed}"


def _scaled(value: float) -> str:
    """A number with the prefix of its thousands: "3.938462 G"."""
    power = min(int(math.log10(value) // 3), len(_PREFIXES) - 1) if value >= 1 else 0
    digits = f"{value / 1000**power:.6f}".rstrip("0").rstrip(".")
    return f"{digits} {_PREFIXES[power]}"


def as_json(topology: "Topology") -> dict[str, object]:
    """The body of DAOS's JSON."""
    virtual = [_virtual_json(device) for device in topology.virtual_devices]
    return {
        "numa_nodes": {str(node.index): _node_json(node) for node in topology.nodes},
        "virtual_devices": virtual or None,
    }


def _node_json(node: "NodeTopology") -> dict[str, object]:
    disks = [_block_json(d.block, d) for d in node.devices if d.block is not None]
    return {
        "id": node.index,
        "cores": [{"id": core} for core in node.cores] or None,
        "pci_buses": [_bus_json(bus, node.devices) for bus in node.buses] or None,
        "pci_devices": _devices_json(node.devices) or None,
        "block_devices": disks + [_block_json(memory, None) for memory in node.memory_devices] or None,
    }


def _bus_json(bus: "PciBus", devices: "Iterable[PciDevice]") -> dict[str, object]:
    on_it = _devices_json(device for device in devices if bus.contains(device.address))
    return {
        "low_address": {"domain": bus.domain, "bus": bus.low, "device": 0, "function": 0},
        "high_address": {"domain": bus.domain, "bus": bus.high, "device": 0, "function": 0},
        "pci_devices": on_it,
    }


def _devices_json(devices: "Iterable[PciDevice]") -> dict[str, object]:
    return {str(address): [_device_json(d) for d in group] for address, group in _by_address(devices)}


def _device_json(device: "PciDevice") -> dict[str, object]:
    body: dict[str, object] = {
        "name": device.name,
        "type": int(device.type),
        "pci_address": device.address._asdict(),
        "port_id": 0,
    }
    if device.link_gbps:
        body["link_neg_speed"] = device.link_gbps * _GIGA
    return body


def _block_json(block: "BlockDevice", backing: "PciDevice | None") -> dict[str, object]:
    body: dict[str, object] = {
        "type": block.kind,
        "name": block.name,
        "sector_size": block.sector_bytes,
        "size": block.size_bytes,
        "linux_device_id": block.number,
        "vendor": block.vendor,
        "model": block.model,
        "revision": block.revision,
        "serial_number": block.serial,
    }
    body = {name: value for name, value in body.items() if value or name in ("type", "name")}
    if backing is not None:
        body["backing_device"] = _device_json(backing)
    return body


def _virtual_json(device: "VirtualDevice") -> dict[str, object]:
    backing = None if device.backing is None else _device_json(device.backing)
    return {"name": device.name, "type": _NETWORK, "backing_device": backing}
