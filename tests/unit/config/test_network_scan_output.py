"""What `daos_server network scan` prints, against what DAOS 2.8's prints for the same interfaces."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from daos_control.cli import daos_server_network as output


@dataclass(frozen=True, slots=True)
class Interface:
    provider: str
    device: str
    numa_node: int = 0
    priority: int = 0
    net_dev_class: int = 1


def listed(*interfaces: Interface) -> Any:
    return list(interfaces)


TABLE = """\
---------
localhost
---------

    -------------
    NUMA Socket 0
    -------------

        Provider        Interfaces 
        --------        ---------- 
        ofi+sockets     eth0       
        ofi+tcp;ofi_rxm eth0       
        ofi+tcp         eth0       
"""  # noqa: W291 - DAOS pads the last column, too

BODY = """\
{
  "14305709183502793240": {
    "HostFabric": {
      "Interfaces": [
        {
          "Provider": "ofi+tcp",
          "Device": "eth0",
          "NumaNode": 0,
          "Priority": 0,
          "NetDevClass": 1
        }
      ],
      "Providers": [
        "ofi+tcp"
      ],
      "NumaCount": 0,
      "CoresPerNuma": 0
    },
    "HostSet": "localhost"
  }
}"""


def test_the_table_is_that_of_daos_byte_for_byte() -> None:
    names = ("ofi+sockets", "ofi+tcp;ofi_rxm", "ofi+tcp")
    assert output.as_text(listed(*(Interface(name, "eth0") for name in names))) == TABLE


def test_the_json_is_that_of_daos_byte_for_byte() -> None:
    assert json.dumps(output.as_json(listed(Interface("ofi+tcp", "eth0"))), indent=2) == BODY


def test_interfaces_are_put_together_by_node_and_provider() -> None:
    text = output.as_text(listed(Interface("a", "x", 1), Interface("a", "y", 1), Interface("a", "z", 0)))
    assert text.index("NUMA Socket 0") < text.index("NUMA Socket 1")
    assert "x, y" in text


def test_without_interfaces_there_is_the_host_alone_and_null_in_json() -> None:
    assert output.as_text([]) == "---------\nlocalhost\n---------\n"
    (body,) = output.as_json([]).values()
    assert isinstance(body, dict)
    assert body["HostFabric"] == {"Interfaces": None, "Providers": None, "NumaCount": 0, "CoresPerNuma": 0}


def test_the_number_of_a_fabric_does_not_depend_on_the_order_of_interfaces() -> None:
    a, b = Interface("ofi+tcp", "eth0"), Interface("ofi+verbs", "ib0", 1, 2, 32)
    assert output.fabric_key(listed(a, b)) == output.fabric_key(listed(b, a))
    assert output.fabric_key(listed(a)) != output.fabric_key(listed(b))


def test_loopback_and_other_providers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    asked = []
    wanted = Interface("ofi+tcp;ofi_rxm", "eth0")
    everything = [wanted, Interface("ofi+tcp", "lo", net_dev_class=772), Interface("ofi+verbs", "ib0")]
    fake: Any = types.ModuleType("daos_control.network.scan")
    fake.scan = lambda provider: asked.append(provider) or everything
    monkeypatch.setitem(sys.modules, "daos_control.network.scan", fake)
    import daos_control.network

    monkeypatch.setattr(daos_control.network, "scan", fake, raising=False)
    assert output.scan("ofi+tcp") == [wanted]
    assert asked == ["ofi+tcp"]
