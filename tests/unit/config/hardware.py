"""Hardware made for tests."""

from daos_control.config.generate.hardware import FabricInterface, HostHardware, Pmem, Ssd

ETHERNET, INFINIBAND = 1, 32


def interface(
    device: str, node: int, *, provider: str = "ofi+tcp", priority: int = 0, kind: int = ETHERNET
) -> FabricInterface:
    return FabricInterface(provider, device, node, priority, kind)


def ssds(node: int, count: int) -> tuple[Ssd, ...]:
    """SSDs of a node, by address."""
    return tuple(Ssd(f"0000:{0x80 + node:02x}:{number:02x}.0", node) for number in range(count))


def host(
    nodes: int,
    *,
    cores: int = 26,
    interfaces: tuple[FabricInterface, ...] = (interface("eth0", 0),),
    pmem: tuple[Pmem, ...] = (),
    ssds: tuple[Ssd, ...] = (),
) -> HostHardware:
    return HostHardware(nodes, cores, interfaces, pmem, ssds, 256 << 20)
