"""What `daos_server network scan` prints, byte for byte as DAOS does."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daos_control.network.scan import FabricInterface

_HOST = "localhost"
_LOOPBACK_CLASS = 772  # ARPHRD_LOOPBACK


def scan(provider: str) -> "list[FabricInterface]":
    """The interfaces of this host that `provider` can use (all providers for ""), without loopback ones."""
    from daos_control.network import scan as network

    return [
        interface
        for interface in network.scan(provider)
        if interface.net_dev_class != _LOOPBACK_CLASS and interface.provider.startswith(provider)
    ]


def as_text(interfaces: "Sequence[FabricInterface]") -> str:
    """A table of providers for each NUMA node, ending in an empty line."""
    rule = "-" * len(_HOST)
    lines = [rule, _HOST, rule, ""]
    for node in sorted({interface.numa_node for interface in interfaces}):
        title = f"NUMA Socket {node}"
        lines += ["    " + line for line in ("-" * len(title), title, "-" * len(title))]
        devices: dict[str, list[str]] = {}
        for interface in interfaces:
            if interface.numa_node == node:
                devices.setdefault(interface.provider, []).append(interface.device)
        rows = [(provider, ", ".join(names)) for provider, names in devices.items()]
        lines += ["", *("        " + line for line in _table(("Provider", "Interfaces"), rows)), ""]
    return "\n".join(lines)


def _table(titles: tuple[str, str], rows: Sequence[tuple[str, str]]) -> Iterable[str]:
    every = [titles, (("-" * len(titles[0])), ("-" * len(titles[1]))), *rows]
    widths = [max(len(row[column]) for row in every) for column in (0, 1)]
    for row in every:
        yield "".join(f"{cell:<{width}} " for cell, width in zip(row, widths, strict=True))


def as_json(interfaces: "Sequence[FabricInterface]") -> dict[str, object]:
    """The body of DAOS's JSON: hosts by a number that stands for what they have."""
    listed = [
        {
            "Provider": interface.provider,
            "Device": interface.device,
            "NumaNode": interface.numa_node,
            "Priority": interface.priority,
            "NetDevClass": interface.net_dev_class,
        }
        for interface in interfaces
    ]
    providers = sorted({interface.provider for interface in interfaces})
    fabric = {"Interfaces": listed or None, "Providers": providers or None, "NumaCount": 0, "CoresPerNuma": 0}
    return {str(fabric_key(interfaces)): {"HostFabric": fabric, "HostSet": _HOST}}


def fabric_key(interfaces: "Sequence[FabricInterface]") -> int:
    """The number by which DAOS groups hosts with equal fabrics: FNV-1 over names and values, order left aside."""
    hashes = [
        _struct_hash(
            "HostFabricInterface",
            Provider=_fnv(interface.provider.encode()),
            Device=_fnv(interface.device.encode()),
            NumaNode=_number_hash(interface.numa_node),
            Priority=_number_hash(interface.priority),
            NetDevClass=_number_hash(interface.net_dev_class),
        )
        for interface in interfaces
    ]
    providers = {interface.provider for interface in interfaces}
    return _struct_hash(
        "HostFabric",
        Interfaces=_set_hash(hashes),
        Providers=_set_hash([_fnv(provider.encode()) for provider in providers]),
        NumaCount=_number_hash(0),
        CoresPerNuma=_number_hash(0),
    )


def _fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF ^ byte
    return value


def _number_hash(number: int) -> int:
    return _fnv(number.to_bytes(4, "little"))


def _word(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _set_hash(hashes: Iterable[int]) -> int:
    mixed = 0
    for item in hashes:
        mixed ^= item
    return _fnv(_word(mixed))


def _struct_hash(name: str, **fields: int) -> int:
    value = _fnv(name.encode())
    for field, item in fields.items():
        value = _fnv(_word(value ^ _fnv(_word(_fnv(field.encode())) + _word(item))))
    return value
