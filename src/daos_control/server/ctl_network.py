"""CtlSvc for the network of this host."""

import asyncio
from collections.abc import Callable
from typing import Final

from daos_control.network import scan, topology
from daos_control.network.interfaces import LOOPBACK
from daos_control.network.scan import FabricInterface
from daos_control.network.topology import NumaNode
from daos_control.proto.ctl import network_pb2


class NetworkHandlers:
    """NetworkScan. `provider` is the configured one, which is scanned for unless another is asked for; the
    functions are there for tests."""

    def __init__(
        self,
        provider: str,
        *,
        scan: Callable[[str], list[FabricInterface]] = scan.scan_for,
        nodes: Callable[[], list[NumaNode]] = topology.numa_nodes,
    ) -> None:
        self._provider: Final = provider
        self._scan: Final = scan
        self._nodes: Final = nodes

    async def network_scan(self, request: network_pb2.NetworkScanReq) -> network_pb2.NetworkScanResp:
        """Interfaces that a provider works on ("all": any provider), without loopback ones, which no other host can
        reach; and the host's NUMA nodes. ControlError where there is no interface for it at all."""
        provider = request.provider or self._provider
        found = await asyncio.to_thread(self._scan, "" if provider.lower() == "all" else provider)
        nodes = await asyncio.to_thread(self._nodes)
        excluded = {name for name in request.excludeinterfaces.split(",") if name}
        return network_pb2.NetworkScanResp(
            interfaces=[
                network_pb2.FabricInterface(
                    provider=one.provider,
                    device=one.device,
                    numanode=one.numa_node,
                    priority=one.priority,
                    netdevclass=one.net_dev_class,
                )
                for one in found
                if one.net_dev_class != LOOPBACK and one.device not in excluded
            ],
            numacount=len(nodes),
            corespernuma=nodes[0].cores if nodes else 0,
        )
