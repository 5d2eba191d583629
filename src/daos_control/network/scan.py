"""Which fabric providers can be used on which network interfaces of this host."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daos_control.faults import ControlError
from daos_control.network import libfabric, offers, pci
from daos_control.network.interfaces import Interface, interfaces
from daos_control.network.offers import Offer
from daos_control.network.pci import DeviceType, PciDevice
from daos_control.network.sysfs import SYSFS


@dataclass(frozen=True, slots=True)
class FabricInterface:
    """A provider on an interface. A lower `priority` is better; `net_dev_class` is the kernel's ARP type."""

    provider: str
    device: str
    numa_node: int
    priority: int
    net_dev_class: int


def scan(
    provider: str = "",
    *,
    sysfs: Path = SYSFS,
    found: Sequence[Interface] | None = None,
    offered: Sequence[Offer] | None = None,
) -> list[FabricInterface]:
    """What can be used of one provider, or of all where none is named; loopback interfaces are among it.

    By device, then interface, then priority. libfabric is asked (`libfabric`), and where it is not there sysfs is
    gone by (`offers`); `found` and `offered` take the place of what there is, for tests. Blocks: for a thread.
    """
    known = interfaces(sysfs) if found is None else found
    if offered is None:
        offered = libfabric.offers()
    if offered is None:
        offered = offers.by_rules(known, sysfs)
    wanted = offers.full_name(provider)
    chosen = [offer for offer in offered if wanted in ("", offer.provider)]
    priorities: dict[str, int] = {}
    for offer in chosen:
        priorities.setdefault(offer.provider, len(priorities))
    for offer in offers.slingshot(sysfs):
        if wanted in ("", offer.provider) and offer not in chosen:
            chosen.append(offer)
            priorities[offer.provider] = 0
    return _placed(chosen, priorities, known, pci.devices(sysfs))


def scan_for(provider: str = "") -> list[FabricInterface]:
    """As `scan`; ControlError where nothing is found."""
    found = scan(provider)
    if not found:
        what = f"no fabric interfaces found with provider {provider}" if provider else "no fabric interfaces found"
        raise ControlError(what)
    return found


def _placed(
    chosen: Iterable[Offer],
    priorities: dict[str, int],
    known: Sequence[Interface],
    devices: Sequence[PciDevice],
) -> list[FabricInterface]:
    """Each offer on the network interfaces of its device; what is no device of this host is left out."""
    by_domain: dict[str, set[str]] = {}
    for offer in chosen:
        by_domain.setdefault(offer.domain, set()).add(offer.provider)
    placed = []
    for domain in sorted(by_domain):
        providers = sorted(by_domain[domain], key=lambda name: (priorities[name], name))
        for interface in _interfaces_of(domain, known, devices):
            placed += [
                FabricInterface(name, interface.name, interface.numa_node, priorities[name], interface.device_class)
                for name in providers
            ]
    return placed


def _interfaces_of(domain: str, known: Sequence[Interface], devices: Sequence[PciDevice]) -> list[Interface]:
    """The interface of that name; or those of the fabric device of that name, with the virtual ones on top."""
    same = [interface for interface in known if interface.name == domain]
    device = next((d for d in devices if d.name == domain and d.type is DeviceType.FABRIC), None)
    if same or device is None:
        return same
    siblings = {d.name for d in devices if d.address == device.address and d.type is DeviceType.NETWORK}
    return [interface for interface in known if interface.name in siblings or interface.backing in siblings]
