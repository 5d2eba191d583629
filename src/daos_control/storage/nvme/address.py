"""PCI addresses, also those of devices behind VMD, and lists of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from daos_control.faults import bdev as faults

# A device behind VMD has six digits where others have their domain: bus, device and function of its VMD.
_ADDRESS = re.compile(
    r"^(?:(?P<domain>[0-9a-f]{4})|(?P<vmd>[0-9a-f]{5,6})):(?P<bus>[0-9a-f]{2}):(?P<device>[01][0-9a-f])\.(?P<fn>[0-7])$"
)
_DOMAIN_OF_VMD = 0x10000  # where the kernel begins to number the domains behind VMDs


@dataclass(frozen=True, slots=True, order=True)
class PciAddress:
    """An address as DAOS writes it: "0000:81:00.0", or "5d0505:01:00.0" behind the VMD 0000:5d:05.5."""

    vmd: int
    domain: int
    bus: int
    device: int
    function: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Fault 303 where it is none. Case and blanks around it do not matter."""
        match = _ADDRESS.match(text.strip().lower())
        if match is None:
            raise faults.bad_pci_address(text)
        numbers = {key: int(value or "0", 16) for key, value in match.groupdict().items()}
        return cls(numbers["vmd"], numbers["domain"], numbers["bus"], numbers["device"], numbers["fn"])

    def __str__(self) -> str:
        first = f"{self.vmd:06x}" if self.vmd else f"{self.domain:04x}"
        return f"{first}:{self.bus:02x}:{self.device:02x}.{self.function:x}"

    @property
    def behind_vmd(self) -> bool:
        return self.vmd != 0

    @property
    def endpoint(self) -> "PciAddress":
        """What the host's PCI bus has: the VMD of a device behind one, else the device itself."""
        if not self.behind_vmd:
            return self
        return PciAddress(0, 0, self.vmd >> 16, self.vmd >> 8 & 0xFF, self.vmd & 0xFF)


def parse_list(text: str) -> frozenset[PciAddress]:
    """The addresses of a list that blanks or commas separate; Fault 303 where one is malformed."""
    return frozenset(PciAddress.parse(part) for part in re.split(r"[\s,]+", text) if part)


def join(addresses: Iterable[PciAddress]) -> str:
    """The list in the form of the helper's requests."""
    return " ".join(str(address) for address in sorted(addresses))


def chosen(address: PciAddress, allowed: frozenset[PciAddress], blocked: frozenset[PciAddress]) -> bool:
    """Whether lists let a device through: an empty allow list lets all, and a VMD stands for what is behind it."""
    named = {address, address.endpoint}
    return (not allowed or bool(named & allowed)) and not named & blocked
