"""What `daos_server network scan` prints, byte for byte as DAOS does."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from daos_control.client.fabric_key import Interface, fabric_key

if TYPE_CHECKING:
    from daos_control.network.scan import FabricInterface

_HOST = "localhost"
_LOOPBACK_CLASS = 772  # ARPHRD_LOOPBACK


def scan(provider: str) -> "list[FabricInterface]":
    """The interfaces of this host that `provider` can use (all providers for ""), without loopback ones.

    ControlError where the provider works on none, loopback ones included.
    """
    from daos_control.faults import ControlError
    from daos_control.network import scan as network

    try:
        found = network.scan_for(provider)
    except ControlError as error:
        raise ControlError(f"get local fabric interfaces: {error}") from None
    return [interface for interface in found if interface.net_dev_class != _LOOPBACK_CLASS]


def as_text(interfaces: Sequence[Interface]) -> str:
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


def as_json(interfaces: Sequence[Interface]) -> dict[str, object]:
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
