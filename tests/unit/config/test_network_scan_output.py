"""What `daos_server network scan` prints, against what DAOS 2.8's prints for the same interfaces."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from daos_control.cli import daos_server_network as output
from daos_control.faults import ControlError
from daos_control.network import scan
from daos_control.network.scan import FabricInterface


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


def test_loopback_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    wanted = FabricInterface("ofi+tcp", "eth0", 0, 0, 1)
    everything = [wanted, FabricInterface("ofi+tcp", "lo", 0, 0, 772)]
    monkeypatch.setattr(scan, "scan", lambda provider: asked.append(provider) or everything)
    assert output.scan("ofi+tcp") == [wanted]
    assert asked == ["ofi+tcp"]


def test_a_provider_that_works_nowhere_is_an_error_in_daos_s_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "scan", lambda provider: [])
    with pytest.raises(ControlError) as caught:
        output.scan("ofi+verbs")
    assert str(caught.value) == "get local fabric interfaces: no fabric interfaces found with provider ofi+verbs"
