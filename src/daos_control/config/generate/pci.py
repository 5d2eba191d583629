"""PCI addresses of NVMe controllers, those behind a VMD among them."""

import re

_ADDRESS = re.compile(r"^([0-9a-fA-F]+):([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-9a-fA-F]{1,2})$")
_DOMAIN_MAX = 0xFFFF


class VmdAddress:
    """A controller behind a VMD has bus, device and function of the VMD where others have their domain."""

    @staticmethod
    def of(address: str) -> str | None:
        """The VMD's own address, "0000:5d:05.5" for "5d0505:01:00.0"; None where there is none."""
        domain = _parts(address)[0]
        if domain <= _DOMAIN_MAX:
            return None
        return f"0000:{domain >> 16:02x}:{domain >> 8 & 0xFF:02x}.{domain & 0xFF:x}"


def pci_order(address: str) -> tuple[int, ...]:
    """By what addresses are put in order."""
    return _parts(address)


def _parts(address: str) -> tuple[int, ...]:
    match = _ADDRESS.match(address)
    if match is None:
        raise ValueError(f"no PCI address: {address!r}")
    return tuple(int(part, 16) for part in match.groups())
