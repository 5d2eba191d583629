"""The number by which DAOS's tools group hosts with equal fabrics."""

from collections.abc import Iterable
from typing import Protocol

from daos_control.client.structural_hash import number, structure, text, unordered


class Interface(Protocol):
    """A network interface with one provider, wherever it was found."""

    @property
    def provider(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def numa_node(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def net_dev_class(self) -> int: ...


def fabric_key(interfaces: Iterable[Interface], *, numa_count: int = 0, cores_per_numa: int = 0) -> int:
    """Equal for hosts with the same interfaces, in whatever order, and the same counts."""
    listed = list(interfaces)
    return structure(
        "HostFabric",
        {
            "Interfaces": unordered((_interface(one) for one in listed), finished=True),
            "Providers": unordered((text(name) for name in {one.provider for one in listed}), finished=True),
            "NumaCount": number(numa_count, 4),
            "CoresPerNuma": number(cores_per_numa, 4),
        },
    )


def _interface(interface: Interface) -> int:
    return structure(
        "HostFabricInterface",
        {
            "Provider": text(interface.provider),
            "Device": text(interface.device),
            "NumaNode": number(interface.numa_node, 4),
            "Priority": number(interface.priority, 4),
            "NetDevClass": number(interface.net_dev_class, 4),
        },
    )
