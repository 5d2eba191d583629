"""The hardware of the virtual machine, as data: the host turns it into QEMU's options, the tests look for it.

Each of the two NUMA nodes has one CPU, memory, an NVDIMM with a label area, and its own PCIe root bus with one NVMe
controller of two namespaces and one network card: what an engine that is pinned to the node is meant to use.
"""

from dataclasses import dataclass

MIB = 1 << 20

# The first PCI bus of a node's root; its ports have the buses after it.
FIRST_BUS = (0x40, 0x80)
MEMORY_MIB = 1280  # of each node
LABEL_BYTES = 128 << 10


@dataclass(frozen=True, slots=True)
class Nvdimm:
    """Persistent memory of a node. The label area comes on top of `size_mib`: modules lie one after the other in
    the machine's memory, and a region that does not begin at a multiple of 16 MiB can have no namespace."""

    node: int
    size_mib: int = 512


@dataclass(frozen=True, slots=True)
class NvmeNamespace:
    nsid: int
    size_mib: int
    block_bytes: int = 512


@dataclass(frozen=True, slots=True)
class NvmeController:
    node: int
    serial: str
    namespaces: tuple[NvmeNamespace, ...]

    @property
    def pci_address(self) -> str:
        """Behind the first port of its node's root bus."""
        return f"0000:{FIRST_BUS[self.node] + 1:02x}:00.0"


@dataclass(frozen=True, slots=True)
class NetworkCard:
    node: int
    mac: str

    @property
    def pci_address(self) -> str:
        """Behind the second port of its node's root bus."""
        return f"0000:{FIRST_BUS[self.node] + 2:02x}:00.0"


NODES = (0, 1)
NVDIMMS = (Nvdimm(0), Nvdimm(1))
CONTROLLERS = (
    NvmeController(0, "LAB-NVME-0", (NvmeNamespace(1, 128), NvmeNamespace(2, 192))),
    NvmeController(1, "LAB-NVME-1", (NvmeNamespace(1, 128), NvmeNamespace(2, 192, block_bytes=4096))),
)
CARDS = (NetworkCard(0, "52:54:00:1a:b0:00"), NetworkCard(1, "52:54:00:1a:b0:01"))
