"""`daos_server scm` as far as no helper is needed: tables, JSON, consent, the socket that is meant."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daos_control.cli import daos_server_scm as command
from daos_control.cli.daos_server_scm import Host
from daos_control.config.models import EngineConfig
from daos_control.faults import ControlError
from daos_control.storage.pmem.messages import ScmScanReply
from daos_control.storage.pmem.model import Module, Namespace

MODULES = (
    Module(2, 1, 0, 1, 35, 539661178273, "8089-a2-2f4a", "NMB1XXD512GPS", "01.02.00.5446", "Healthy"),
    Module(0, 1, 1, 0, 21, 136087983390, "8089-a2-1c03", "NMB1XXD128GPS", "01.02.00.5446", "Healthy"),
)
NAMESPACES = (
    Namespace("namespace1.0", "pmem1", "uuid-1", 1, 532708065280),
    Namespace("namespace0.0", "pmem0", "uuid-0", 0, 3183575302144),
)


def test_modules_stand_in_a_table_by_physical_id() -> None:
    assert command.scan_text(ScmScanReply(MODULES)) == (
        "SCM Module Socket Memory Ctrlr Channel Channel Slot Capacity UID          Part Number   Health  \n"
        "---------- ------ ------------ ------- ------------ -------- ---          -----------   ------  \n"
        "21         0      1            0       1            127 GiB  8089-a2-1c03 NMB1XXD128GPS Healthy \n"
        "35         1      0            2       1            503 GiB  8089-a2-2f4a NMB1XXD512GPS Healthy \n"
    )


def test_namespaces_stand_before_modules() -> None:
    assert command.scan_text(ScmScanReply(MODULES, NAMESPACES)) == (
        "SCM Namespace Socket Capacity \n"
        "------------- ------ -------- \n"
        "pmem0         0      3.2 TB   \n"
        "pmem1         1      533 GB   \n"
    )


def test_nothing_is_said_in_words() -> None:
    assert command.scan_text(ScmScanReply()) == "  No SCM modules found\n"


def test_json_has_the_names_of_daos() -> None:
    assert command.scan_json(ScmScanReply(MODULES, NAMESPACES[:1])) == [
        {
            "uuid": "uuid-1",
            "blockdev": "pmem1",
            "dev": "namespace1.0",
            "numa_node": 1,
            "size": 532708065280,
            "mount": None,
        }
    ]
    [first, _] = command.scan_json(ScmScanReply(MODULES))  # type: ignore[misc]
    assert first["FirmwareRevision"] == "01.02.00.5446"
    assert command.scan_json(ScmScanReply()) == []
    assert command.namespaces_json(()) is None


@pytest.mark.parametrize(
    ("answers", "consents"),
    [("yes\n", True), ("what\nyes\n", True), ("no\n", False), ("", False), ("y\nYES\nno\n", False)],
)
def test_only_yes_is_consent(answers: str, consents: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "running_server", lambda: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    host = Host(None, None, json=False)
    if consents:
        command._confirm(host, force=False)
        return
    with pytest.raises(ControlError, match="consent not given"):
        command._confirm(host, force=False)


def test_json_takes_force(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "running_server", lambda: None)
    host = Host(None, None, json=True)
    with pytest.raises(ControlError, match="force option"):
        command._confirm(host, force=False)
    command._confirm(host, force=True)
    assert capsys.readouterr().out == ""


def test_a_running_server_is_found_by_its_command_line(tmp_path: Path) -> None:
    for pid, line in {
        "1": "/sbin/init\0",
        "20": "vi\0/etc/daos_server\0start.txt\0",
        "300": "/usr/bin/daos_server\0scm\0prepare\0",
        "self": "/usr/bin/daos_server\0start\0",
    }.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_text(line)
    assert command.running_server(tmp_path) is None
    (tmp_path / "4000").mkdir()
    (tmp_path / "4000/cmdline").write_text("/venv/bin/python\0/venv/bin/daos_server\0start\0-o\0x.yml\0")
    assert command.running_server(tmp_path) == 4000


def test_nothing_is_done_while_a_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "running_server", lambda: 4711)
    with pytest.raises(ControlError, match=r"already running \(pid: 4711\)"):
        command.reset(Host(None, None, json=False), force=True)


def engine(scm: str, node: int | None) -> EngineConfig:
    tier = {"class": scm, "scm_mount": "/mnt/a"} | ({"scm_list": ["/dev/pmem0"]} if scm == "dcpm" else {})
    return EngineConfig.model_validate({"targets": 1, "pinned_numa_node": node, "storage": [tier]})


@pytest.mark.parametrize(
    ("engines", "socket"),
    [
        ([], None),
        ([engine("ram", 1)], None),
        ([engine("dcpm", 1)], 1),
        ([engine("dcpm", 1), engine("ram", 0)], 1),
        ([engine("dcpm", 1), engine("dcpm", 0)], None),
    ],
)
def test_the_socket_is_the_only_one_with_persistent_memory(engines: list[EngineConfig], socket: int | None) -> None:
    assert command.only_socket(engines) == socket


@pytest.mark.parametrize("words", [["scm", "prepare", "-S", "0", "-f"], ["scm", "reset", "extra"], ["scm", "mend"]])
def test_mistakes_on_the_command_line_are_answered_in_json_too(words: list[str], tmp_path: Path) -> None:
    command_line = [sys.executable, "-m", "daos_control.cli.daos_server", *words, "--json"]
    if words[1] != "mend":
        command_line.append("--ignore-config")
    done = subprocess.run(command_line, capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]
