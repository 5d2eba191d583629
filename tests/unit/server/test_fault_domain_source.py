"""The fault domain of a host: out of the configuration, a program, or its name; and every way in which it fails."""

from pathlib import Path

import pytest

from daos_control.config.models import ServerConfig
from daos_control.faults import Code, Fault
from daos_control.server.fault_domain_source import fault_domain


def look(trusted: Path, **keys: object) -> str:
    return str(fault_domain(ServerConfig.model_construct(**keys), hostname="Host7", trusted=trusted))


def program(directory: Path, body: str, mode: int = 0o755) -> Path:
    path = directory / "domain.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)
    return path


def test_the_name_of_the_host_is_the_default(tmp_path: Path) -> None:
    assert look(tmp_path) == "/host7"


def test_a_path_of_one_or_two_levels_is_taken(tmp_path: Path) -> None:
    assert look(tmp_path, fault_path="/Rack1/Host7") == "/rack1/host7"
    assert look(tmp_path, fault_path="/rack=1/host=7") == "/rack=1/host=7"


def test_a_program_is_asked(tmp_path: Path) -> None:
    assert look(tmp_path, fault_cb=program(tmp_path, "echo ' /rack9/host1 '")) == "/rack9/host1"


@pytest.mark.parametrize("text", ["rack1", "/", "/a//b", "/a=1/b"])
def test_a_malformed_path_is_fault_717(tmp_path: Path, text: str) -> None:
    with pytest.raises(Fault) as caught:
        look(tmp_path, fault_path=text)
    assert caught.value.code == Code.SERVER_CONFIG_FAULT_DOMAIN_INVALID


def test_three_levels_are_fault_724(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        look(tmp_path, fault_path="/a/b/c")
    assert caught.value.code == Code.SERVER_CONFIG_FAULT_DOMAIN_TOO_MANY_LAYERS


def test_path_and_program_together_are_fault_722(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        look(tmp_path, fault_path="/a", fault_cb=tmp_path / "x")
    assert caught.value.code == Code.SERVER_CONFIG_BOTH_FAULT_PATH_AND_CB


@pytest.mark.parametrize(
    ("body", "mode", "code"),
    [
        ("exit 3", 0o755, Code.SERVER_CONFIG_FAULT_CALLBACK_FAILED),
        ("echo /a; exit 1", 0o755, Code.SERVER_CONFIG_FAULT_CALLBACK_FAILED),
        ("echo", 0o755, Code.SERVER_CONFIG_FAULT_CALLBACK_EMPTY),
        ("echo /a/b/c", 0o755, Code.SERVER_CONFIG_FAULT_DOMAIN_TOO_MANY_LAYERS),
        ("echo /a", 0o644, Code.SERVER_CONFIG_FAULT_CALLBACK_BAD_PERMS),
        ("echo /a", 0o775, Code.SERVER_CONFIG_FAULT_CALLBACK_INSECURE),
        ("echo /a", 0o757, Code.SERVER_CONFIG_FAULT_CALLBACK_INSECURE),
        ("echo /a", 0o4755, Code.SERVER_CONFIG_FAULT_CALLBACK_INSECURE),
    ],
)
def test_a_bad_program_is_a_fault(tmp_path: Path, body: str, mode: int, code: Code) -> None:
    with pytest.raises(Fault) as caught:
        look(tmp_path, fault_cb=program(tmp_path, body, mode))
    assert caught.value.code == code


def test_only_regular_files_below_the_trusted_directory_are_run(tmp_path: Path) -> None:
    trusted = tmp_path / "etc"
    trusted.mkdir()
    outside = program(tmp_path, "echo /a")
    (trusted / "link").symlink_to(outside)
    for path in (outside, trusted / ".." / "domain.sh", trusted / "link"):
        with pytest.raises(Fault) as caught:
            look(trusted, fault_cb=path)
        assert caught.value.code == Code.SERVER_CONFIG_FAULT_CALLBACK_INSECURE
    with pytest.raises(Fault) as caught:
        look(trusted, fault_cb=trusted / "none")
    assert caught.value.code == Code.SERVER_CONFIG_FAULT_CALLBACK_NOT_FOUND
