"""What a host has, as far as a configuration depends on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daos_control.config.generate.pci import VmdAddress, pci_order


@dataclass(frozen=True, slots=True)
class FabricInterface:
    """A network interface with one of the providers that work on it. A lower `priority` is better; `net_dev_class`
    is the kernel's ARP type (1 for Ethernet, 32 for InfiniBand)."""

    provider: str
    device: str
    numa_node: int
    priority: int
    net_dev_class: int


@dataclass(frozen=True, slots=True)
class Pmem:
    """A block device of persistent memory, "pmem0"."""

    name: str
    numa_node: int
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ssd:
    """An NVMe controller by its PCI address; behind a VMD the domain has the VMD's address ("5d0505:01:00.0")."""

    address: str
    numa_node: int

    @property
    def vmd(self) -> str | None:
        """The address of the VMD that the controller is behind."""
        return VmdAddress.of(self.address)

    @property
    def order(self) -> tuple[int, ...]:
        return pci_order(self.address)


@dataclass(frozen=True, slots=True)
class HostHardware:
    """All of one host, or of hosts that are alike. `numa_count` nodes with `cores_per_numa` physical cores each."""

    numa_count: int
    cores_per_numa: int
    interfaces: tuple[FabricInterface, ...] = ()
    pmem: tuple[Pmem, ...] = ()
    ssds: tuple[Ssd, ...] = ()
    memory_kib: int = 0


class LocalScans(Protocol):
    """How the hardware of this host is found. Every call may raise a Fault or a ControlError."""

    def numa(self) -> tuple[int, int]:
        """The number of NUMA nodes, and of physical cores in each."""
        ...

    def interfaces(self) -> Sequence[FabricInterface]:
        """Interfaces with all providers that work on them, without loopback ones."""
        ...

    def pmem(self) -> Sequence[Pmem]: ...

    def ssds(self) -> Sequence[Ssd]:
        """NVMe controllers that nothing else uses."""
        ...

    def memory_kib(self) -> int: ...


def scan(scans: LocalScans) -> HostHardware:
    """Everything about this host."""
    count, cores = scans.numa()
    return HostHardware(
        numa_count=count,
        cores_per_numa=cores,
        interfaces=tuple(scans.interfaces()),
        pmem=tuple(scans.pmem()),
        ssds=tuple(scans.ssds()),
        memory_kib=scans.memory_kib(),
    )
