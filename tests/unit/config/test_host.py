"""What the configuration asks of the machine."""

import stat
from pathlib import Path
from typing import Any

import pytest

from daos_control.config.checks import check_startable
from daos_control.config.host import HostSnapshot, check_host, control_interface_address, modes_of
from daos_control.config.models import ServerConfig
from daos_control.config.problems import format_key
from unit.config.samples import document, parse, spoil

INTERFACES = {"eth0": ("10.0.0.9", "10.0.0.10", "fe80::1"), "eth1": ()}
REGULAR = stat.S_IFREG | 0o400


def config(**changes: Any) -> ServerConfig:
    return parse(spoil(document(), {key.replace("__", "."): value for key, value in changes.items()}))


def snapshot(of: ServerConfig, **options: Any) -> HostSnapshot:
    transport = of.transport_config
    files = dict.fromkeys((transport.ca_cert, transport.cert, transport.key), REGULAR)
    modes: dict[Path, int | None] = {of.socket_dir: stat.S_IFDIR | 0o755, **files, **options.pop("modes", {})}
    return HostSnapshot(interfaces=INTERFACES, modes=modes, **options)


def found(of: ServerConfig, host: HostSnapshot) -> list[tuple[str, int]]:
    return [(format_key(finding.path), finding.code) for finding in check_host(of, host)]


def test_a_host_that_has_everything_lacks_nothing() -> None:
    plain = config(control_iface="eth0")
    assert found(plain, snapshot(plain, replica_address="10.0.0.9")) == []


@pytest.mark.parametrize("mode", [None, REGULAR])
def test_the_socket_directory_must_be_a_directory(mode: int | None) -> None:
    plain = config()
    assert found(plain, snapshot(plain, modes={plain.socket_dir: mode})) == [("socket_dir", 701)]


@pytest.mark.parametrize("name", ["eth1", "eth7"])
def test_an_engines_interface_must_exist_with_an_address(name: str) -> None:
    plain = config(engines__0__fabric_iface=name)
    assert found(plain, snapshot(plain)) == [("engines[0].fabric_iface", 701)]


@pytest.mark.parametrize("name", ["eth1", "eth7"])
def test_the_control_interface_must_exist_with_an_ipv4_address(name: str) -> None:
    plain = config(control_iface=name)
    assert found(plain, snapshot(plain)) == [("control_iface", 739)]


def test_the_control_interface_of_a_replica_has_the_replicas_address() -> None:
    plain = config(control_iface="eth0")
    assert found(plain, snapshot(plain, replica_address="10.0.0.10")) == [("control_iface", 740)]


def test_the_address_of_an_interface_is_the_lowest_by_number() -> None:
    assert control_interface_address(("10.0.0.10", "fe80::1", "10.0.0.9")) == "10.0.0.9"
    assert control_interface_address(("fe80::1",)) is None


def test_missing_certificates_are_told_unless_there_is_to_be_no_security() -> None:
    plain = config()
    missing = {plain.transport_config.key: None, plain.transport_config.ca_cert: None}
    assert found(plain, snapshot(plain, modes=missing)) == [
        ("transport_config.ca_cert", 901),
        ("transport_config.key", 901),
    ]
    insecure = config(transport_config={"allow_insecure": True})
    assert found(insecure, snapshot(insecure, modes=missing)) == []


def test_the_files_that_are_looked_at_are_those_that_are_needed(tmp_path: Path) -> None:
    there = tmp_path / "cert"
    there.write_text("")
    plain = config(socket_dir=str(tmp_path), transport_config={"cert": str(there), "key": str(tmp_path / "none")})
    modes = modes_of(plain)
    assert stat.S_ISDIR(modes[tmp_path] or 0)
    assert stat.S_ISREG(modes[there] or 0)
    assert modes[tmp_path / "none"] is None


def test_a_server_without_engines_needs_a_provider_and_a_place_for_its_data_to_start() -> None:
    assert [format_key(f.path) for f in check_startable(parse({}))] == ["provider", "control_metadata.path"]
    discovery = parse({"provider": "ofi+tcp", "control_metadata": {"path": "/var/daos"}})
    assert list(check_startable(discovery)) == []
    assert list(check_startable(config())) == []
