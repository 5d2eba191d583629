"""Fabric interfaces as text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from daos_control.cli.print_hosts import shown_hosts
from daos_control.cli.table import indent, ruled, table
from daos_control.client.model import HostGroup

if TYPE_CHECKING:
    from daos_control.client.network import HostFabric

_PROVIDER, _INTERFACES = "Provider", "Interfaces"


def fabrics(groups: "Sequence[HostGroup[HostFabric]]") -> str:
    """For each group of hosts the interfaces by NUMA node and provider, in the servers' order."""
    return "".join(f"{ruled(shown_hosts(group.hosts))}\n{_fabric(group.content)}" for group in groups)


def _fabric(fabric: "HostFabric") -> str:
    nodes: dict[int, dict[str, list[str]]] = {}
    for interface in fabric.interfaces:
        nodes.setdefault(interface.numa_node, {}).setdefault(interface.provider, []).append(interface.device)
    text = ""
    for node in sorted(nodes):
        rows = [{_PROVIDER: provider, _INTERFACES: ", ".join(devices)} for provider, devices in nodes[node].items()]
        text += f"{indent(ruled(f'NUMA Socket {node}'), 4)}\n{indent(table([_PROVIDER, _INTERFACES], rows), 8)}\n"
    return text
