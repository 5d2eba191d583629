"""Control addresses: who is a replica, how a server is known, what it listens on."""

from collections.abc import Sequence

import pytest

from daos_control.config.server import parse
from daos_control.faults import Code, Fault
from daos_control.server.addresses import Addresses, find

INTERFACES = {"lo": ("127.0.0.1",), "eth0": ("10.0.0.7", "10.0.0.5"), "eth1": ("192.168.1.5",), "ib0": ()}
NAMES = {"a": ["10.0.0.4"], "b": ["fe80::1", "10.0.0.9", "10.0.0.5"], "c": ["10.0.0.6"], "six": ["2001:db8::1"]}


def resolve(host: str) -> Sequence[str]:
    if host[0].isdigit():
        return [host]
    if host not in NAMES:
        raise OSError("Name or service not known")
    return NAMES[host]


def look(text: str) -> Addresses:
    config = parse(f"provider: ofi+tcp\ntransport_config: {{allow_insecure: true}}\n{text}", "test")
    return find(config, INTERFACES, resolve=resolve)


def test_a_server_among_the_replicas_is_known_by_that_address_and_listens_everywhere() -> None:
    found = look("mgmt_svc_replicas: [a, b, c]")
    assert found.replicas == ("10.0.0.4:10001", "10.0.0.5:10001", "10.0.0.6:10001")
    assert (found.control, found.listen) == ("10.0.0.5:10001", "0.0.0.0:10001")
    assert found.is_replica
    assert not found.is_bootstrap


def test_the_first_replica_begins_the_system() -> None:
    assert look("mgmt_svc_replicas: [b, a, c]").is_bootstrap
    assert look("mgmt_svc_replicas: [127.0.0.1]").is_bootstrap


def test_a_server_that_is_no_replica_is_known_by_its_connections() -> None:
    found = look("mgmt_svc_replicas: [a]")
    assert (found.control, found.listen, found.is_replica) == ("0.0.0.0:10001", "0.0.0.0:10001", False)


def test_another_port_on_this_host_is_another_server() -> None:
    assert not look("mgmt_svc_replicas: ['b:10002']\nport: 10001").is_replica
    assert look("mgmt_svc_replicas: ['b:10002']\nport: 10002").control == "10.0.0.5:10002"


def test_a_control_interface_is_listened_on_by_its_lowest_address() -> None:
    found = look("mgmt_svc_replicas: [b]\ncontrol_iface: eth0")
    assert (found.control, found.listen) == ("10.0.0.5:10001", "10.0.0.5:10001")


def test_a_control_address_tells_servers_of_one_host_apart() -> None:
    text = "mgmt_svc_replicas: [127.0.0.1, 127.0.0.2, 127.0.0.3]\ndaos_control: {control_address: 127.0.0.2}"
    found = look(text)
    assert (found.control, found.listen) == ("127.0.0.2:10001", "127.0.0.2:10001")
    assert found.is_replica
    assert not found.is_bootstrap


def test_an_ipv6_replica_stands_in_brackets() -> None:
    assert look("mgmt_svc_replicas: [six]").replicas == ("[2001:db8::1]:10001",)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("mgmt_svc_replicas: [unknown]", Code.SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS),
        ("mgmt_svc_replicas: [a]\ncontrol_iface: none", Code.SERVER_CONFIG_BAD_CONTROL_INTERFACE),
        ("mgmt_svc_replicas: [a]\ncontrol_iface: ib0", Code.SERVER_CONFIG_BAD_CONTROL_INTERFACE),
        ("mgmt_svc_replicas: [b]\ncontrol_iface: eth1", Code.SERVER_CONFIG_CONTROL_INTERFACE_MISMATCH),
        ("mgmt_svc_replicas: [a]\ndaos_control: {control_address: 8.8.8.8}", Code.SERVER_BAD_CONFIG),
    ],
)
def test_what_cannot_be_used_is_a_fault(text: str, code: Code) -> None:
    with pytest.raises(Fault) as caught:
        look(text)
    assert caught.value.code == code
