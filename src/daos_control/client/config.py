"""A configuration for storage hosts, out of what their servers say of their hardware."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from daos_control.client import network, storage
from daos_control.client.connection import Client
from daos_control.client.model import HostsResponse
from daos_control.client.network import HostFabric
from daos_control.client.storage_types import HostStorage

if TYPE_CHECKING:
    from daos_control.config.generate import GenerateRequest, HostHardware
    from daos_control.config.models import ServerConfig


async def generate(
    client: Client, request: "GenerateRequest", hosts: Sequence[str] | None = None
) -> "ServerConfig":
    """The configuration that all of `hosts` (default: the client's) can run with.

    Raises PartialFailureError where a host does not answer, with the answers; ControlError where hosts differ, or
    where their hardware does not do; Fault 511; ConfigError.
    """
    from daos_control.config import generate as generator

    return generator.generate(await scan(client, hosts), request)


async def scan(client: Client, hosts: Sequence[str] | None = None) -> "HostHardware":
    """The hardware that all hosts have; raises as `generate`."""
    from daos_control.config.generate.homogeneity import require_alike

    fabrics = await network.scan(client, hosts, provider="all")
    _require_all(fabrics)
    storages = await storage.scan(client, hosts, nvme_basic=True)
    _require_all(storages)
    fabric_of = {host: group.content for group in fabrics.groups or () for host in group.hosts}
    storage_of = {host: group.content for group in storages.groups or () for host in group.hosts}
    return require_alike([(host, _hardware(fabric_of[host], storage_of[host])) for host in sorted(fabric_of)])


def _require_all(response: HostsResponse) -> None:
    if response.failure is not None:
        raise response.failure


def _hardware(fabric: HostFabric, found: HostStorage) -> "HostHardware":
    from daos_control.config.generate.hardware import FabricInterface, HostHardware, Pmem, Ssd

    return HostHardware(
        numa_count=fabric.numa_count,
        cores_per_numa=fabric.cores_per_numa,
        interfaces=tuple(
            FabricInterface(i.provider, i.device, i.numa_node, i.priority, i.net_dev_class)
            for i in fabric.interfaces
        ),
        pmem=tuple(Pmem(n.blockdev, n.numa_node, n.size) for n in found.scm_namespaces),
        ssds=tuple(Ssd(c.pci_addr, max(c.socket_id, 0)) for c in found.nvme_devices if c.pci_addr),
        memory_kib=found.mem_info.mem_total_kb if found.mem_info is not None else 0,
    )
