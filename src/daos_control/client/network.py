"""Fabric interfaces of the servers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from daos_control.client.connection import Client, ctl
from daos_control.client.fabric_key import fabric_key
from daos_control.client.fanout import fan_out
from daos_control.client.model import HostGroup, HostsResponse, fold, fold_errors, named
from daos_control.proto.ctl import network_pb2

NETWORK_SCAN = ctl("NetworkScan", network_pb2.NetworkScanReq, network_pb2.NetworkScanResp)


@dataclass(frozen=True, slots=True)
class FabricInterface:
    """An interface with one of the providers it supports; `net_dev_class` is the kernel's ARPHRD number."""

    provider: str = field(metadata=named("Provider"))
    device: str = field(metadata=named("Device"))
    numa_node: int = field(metadata=named("NumaNode"))
    priority: int = field(metadata=named("Priority"))
    net_dev_class: int = field(metadata=named("NetDevClass"))


@dataclass(frozen=True, slots=True)
class HostFabric:
    """All that a host said of its fabric; providers in the order of names."""

    interfaces: tuple[FabricInterface, ...] = field(metadata=named("Interfaces"))
    providers: tuple[str, ...] = field(metadata=named("Providers"))
    numa_count: int = field(metadata=named("NumaCount"))
    cores_per_numa: int = field(metadata=named("CoresPerNuma"))


@dataclass(frozen=True, slots=True)
class NetworkResponse(HostsResponse):
    """Hosts with equal fabrics together; `groups` is None where no host answered."""

    groups: tuple[HostGroup[HostFabric], ...] | None


async def scan(client: Client, hosts: Sequence[str] | None = None, *, provider: str = "") -> NetworkResponse:
    """Ask servers for the interfaces that support `provider`: "all", or "" for the one they are configured with."""
    request = network_pb2.NetworkScanReq(provider=provider)
    results = await fan_out(client, client.pick_hosts(hosts), NETWORK_SCAN, request)
    failures = [(result.address, result.error) for result in results if result.error is not None]
    answered = [(r.address, _fabric(r.message)) for r in results if r.message is not None]
    return NetworkResponse(fold_errors(failures), fold(answered, _key) if answered else None)


def _fabric(message: network_pb2.NetworkScanResp) -> HostFabric:
    interfaces = tuple(
        FabricInterface(i.provider, i.device, i.numanode, i.priority, i.netdevclass) for i in message.interfaces
    )
    providers = tuple(sorted({interface.provider for interface in interfaces}))
    return HostFabric(interfaces, providers, message.numacount, message.corespernuma)


def _key(fabric: HostFabric) -> int:
    return fabric_key(fabric.interfaces, numa_count=fabric.numa_count, cores_per_numa=fabric.cores_per_numa)
