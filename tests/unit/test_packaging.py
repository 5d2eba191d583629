"""The files of systemd and sudo that come with the project fit each other and what they start."""

import configparser
import tomllib
from pathlib import Path

import pytest

from daos_control.config.models import Extensions
from daos_control.storage.helper import app
from daos_control.storage.helper.protocol import METHODS
from daos_control.storage.nvme import messages as _nvme  # noqa: F401 - registers its methods
from daos_control.storage.pmem import messages as _pmem  # noqa: F401 - registers its methods

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "packaging" / "systemd"


def unit(name: str) -> configparser.ConfigParser:
    """A unit file; keys keep their case, and no key stands twice."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((UNITS / name).read_text(encoding="utf-8"))
    return parser


def test_every_program_that_is_started_is_one_of_the_project() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name in ("daos_server.service", "daos_server_helper@.service"):
        program = Path(unit(name)["Service"]["ExecStart"].split()[0])
        assert program.parent == Path("/usr/bin")
        assert program.name in scripts
    assert "/usr/bin/daos_server_helper" in (ROOT / "packaging/sudoers.d/daos_server").read_text()


def test_the_helper_gets_its_socket_as_input_and_output_and_writes_no_message_to_it() -> None:
    socket, service = unit("daos_server_helper.socket")["Socket"], unit("daos_server_helper@.service")["Service"]
    assert socket["Accept"] == "yes"
    assert (service["StandardInput"], service["StandardOutput"]) == ("socket", "socket")
    assert service["StandardError"] == "journal"
    assert "User" not in service
    assert int(service["RuntimeMaxSec"]) > max(method.limit_s for method in METHODS.values())


def test_only_the_servers_group_may_connect_and_the_helper_serves_its_user() -> None:
    socket, server = unit("daos_server_helper.socket")["Socket"], unit("daos_server.service")["Service"]
    assert (socket["SocketUser"], socket["SocketMode"]) == ("root", "0660")
    assert socket["SocketGroup"] == server["Group"]
    assert server["User"] == app.OWNER_DEFAULT
    assert f"helper_socket: {socket['ListenStream']}" in (UNITS / "daos_server_helper.socket").read_text()
    assert "helper_socket" in Extensions.model_fields


@pytest.mark.parametrize("name", ["daos_server.service", "daos_server_helper@.service"])
def test_no_service_has_a_mount_namespace_of_its_own(name: str) -> None:
    private = {"PrivateTmp", "PrivateDevices", "PrivateMounts", "ProtectSystem", "ProtectHome", "ReadOnlyPaths",
               "ReadWritePaths", "InaccessiblePaths", "RootDirectory", "DynamicUser", "BindPaths"}  # fmt: skip
    assert not private & set(unit(name)["Service"])
    assert "NoNewPrivileges" not in unit(name)["Service"]  # sudo would not work


def test_the_server_is_restarted_and_limited_as_daos_has_it() -> None:
    server = unit("daos_server.service")
    assert (server["Service"]["Restart"], server["Service"]["RestartSec"]) == ("on-failure", "10")
    assert (server["Unit"]["StartLimitBurst"], server["Unit"]["StartLimitIntervalSec"]) == ("5", "60")
    assert (server["Service"]["RuntimeDirectory"], server["Service"]["RuntimeDirectoryMode"]) == (
        "daos_server",
        "0755",
    )
    for limit in ("LimitMEMLOCK", "LimitCORE", "LimitNOFILE"):
        assert server["Service"][limit] == "infinity"
