"""daos_control.yml."""

import subprocess
import sys
from pathlib import Path

import pytest

from daos_control.config import control, search
from daos_control.config.control import ControlConfig, ControlTransport
from daos_control.config.problems import ConfigError

FULL = """\
name: test
port: 10005
hostlist: [host1, 'host2:7']
transport_config:
  allow_insecure: true
  ca_cert: /c/ca.crt
  cert: /c/admin.crt
  key: /c/admin.key
"""


def keys(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigError) as caught:
        control.parse(text, "test.yml")
    return [(problem.line, problem.key) for problem in caught.value.problems]


def test_every_key_is_read() -> None:
    assert control.parse(FULL, "x") == ControlConfig(
        name="test",
        port=10005,
        hostlist=("host1", "host2:7"),
        transport_config=ControlTransport(
            allow_insecure=True, ca_cert=Path("/c/ca.crt"), cert=Path("/c/admin.crt"), key=Path("/c/admin.key")
        ),
    )


def test_a_key_that_is_missing_or_empty_has_its_default() -> None:
    assert control.parse("port:\nhostlist: ~\n", "x") == ControlConfig()
    assert ControlConfig().hostlist == ("localhost:10001",)
    assert ControlConfig().transport_config.cert == Path("/etc/daos/certs/admin.crt")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name: ''\n", [(1, "name")]),
        ("name: abcdefghijklmnop\n", [(1, "name")]),
        ("port: 0\n", [(1, "port")]),
        ("port: x\n", [(1, "port")]),
        ("hostlist: a\n", [(1, "hostlist")]),
        ("hostlist: [a, [b], '']\n", [(1, "hostlist[1]"), (1, "hostlist[2]")]),
        ("transport_config: 1\n", [(1, "transport_config")]),
        (
            "transport_config:\n  cert: ''\n  keys: a\n",
            [(2, "transport_config.cert"), (3, "transport_config.keys")],
        ),
        ("port: 1\nport: 2\n", [(2, "port")]),
        ("hosts: [a]\nname: ''\n", [(1, "hosts"), (2, "name")]),
        ("- a\n", [(1, "")]),
        ("a: [\n", [(2, "")]),
        ("", [(0, "")]),
        (" \n", [(0, "")]),
    ],
)
def test_all_mistakes_are_told_with_line_and_key(text: str, found: list[tuple[int, str]]) -> None:
    assert keys(text) == found


def test_an_unknown_key_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean hostlist"):
        control.parse("host_list: [a]\n", "x")


def test_a_given_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        control.load(tmp_path / "none.yml")


def test_the_users_own_file_is_read_before_that_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, system = tmp_path / "home", tmp_path / "system"
    home.mkdir()
    system.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(search, "directories", lambda: (tmp_path / "none", system))
    assert control.load() == ControlConfig()
    (system / "daos_control.yml").write_text("name: system\n")
    assert control.load().name == "system"
    (home / ".daos_control.yml").write_text("name: own\n")
    found = control.load()
    assert (found.name, found.path) == ("own", home / ".daos_control.yml")


def test_without_home_the_systems_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(search, "directories", lambda: (tmp_path,))
    assert search.find_control() is None
    (tmp_path / "daos_control.yml").write_text("")
    assert search.find_control() == tmp_path / "daos_control.yml"


def test_the_directories_end_with_that_of_the_system() -> None:
    assert search.directories()[-1] == Path("/etc/daos")
    assert search.candidates("daos_server.yml")[-1] == Path("/etc/daos/daos_server.yml")


def test_the_system_installation_has_one_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    assert search.directories() == (Path("/etc/daos"),)
    monkeypatch.setattr(sys, "prefix", "/opt/x")
    assert search.directories() == (Path("/opt/x/etc"), Path("/etc/daos"))


def test_neither_pydantic_nor_yaml_nor_grpc_is_loaded_for_the_defaults(tmp_path: Path) -> None:
    code = (
        "import sys; from daos_control.config import control; control.load();"
        " print([m for m in ('pydantic', 'yaml', 'grpc') if m in sys.modules])"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
