"""The network as the product's scan sees it, with cards on two NUMA nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daos_control.network import interfaces, scan, topology
from lab.hardware import CARDS, CONTROLLERS, NODES, NetworkCard
from lab.tests.commands import read, run, wait_until


def name_of(card: NetworkCard) -> str:
    (found,) = Path("/sys/bus/pci/devices", card.pci_address).glob("virtio*/net/*")
    return found.name


@pytest.fixture
def up() -> Iterator[dict[str, NetworkCard]]:
    """Both cards up with an address each, by the name that the kernel gave them."""
    cards = {name_of(card): card for card in CARDS}
    for name, card in cards.items():
        run("ip", "address", "replace", f"192.0.2.{card.node + 1}/24", "dev", name)
        run("ip", "link", "set", name, "up")
        operstate = Path("/sys/class/net", name, "operstate")
        wait_until(lambda file=operstate: read(file) == "up", f"{name} to be up")  # type: ignore[misc]
    yield cards
    for name in cards:
        run("ip", "address", "flush", "dev", name)
        run("ip", "link", "set", name, "down")


def test_each_card_is_found_on_its_node_with_the_tcp_provider(up: dict[str, NetworkCard]) -> None:
    found = scan.scan()
    for name, card in up.items():
        mine = [interface for interface in found if interface.device == name]
        assert "ofi+tcp" in {interface.provider for interface in mine}
        assert {interface.numa_node for interface in mine} == {card.node}
        assert {interface.net_dev_class for interface in mine} == {interfaces.ETHERNET}


def test_a_card_that_is_down_or_has_no_address_is_not_offered(up: dict[str, NetworkCard]) -> None:
    first, second = up
    run("ip", "link", "set", first, "down")
    run("ip", "address", "flush", "dev", second)
    assert not {interface.device for interface in scan.scan()} & {first, second}


def test_the_topology_tells_the_nodes_and_the_buses_of_each() -> None:
    nodes = topology.numa_nodes()
    assert [node.index for node in nodes] == list(NODES)
    for controller in CONTROLLERS:
        buses = topology.pci_buses(controller.node)
        assert buses is not None
        first, last = buses
        assert first <= int(controller.pci_address.split(":")[1], 16) <= last
