"""`daos_server` as a process: what it prints, where, and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VALID = """\
provider: ofi+tcp
mgmt_svc_replicas: [host1]
engines:
- targets: 1
  fabric_iface: eth0
  fabric_iface_port: 31416
  log_file: /tmp/e.log
  storage:
  - class: ram
    scm_mount: /mnt/daos
"""

# Runs a command of the server in this interpreter, with a server that only tells what it was started with.
START = """
import json, sys, types
app = types.ModuleType("daos_control.server.app")
def main(config, options):
    told = {"port": config.port, "name": config.name, "insecure": config.transport_config.allow_insecure,
            "embedded": config.daos_control.embedded_engine, "targets": [e.targets for e in config.engines],
            "debug": options.debug, "auto_format": options.auto_format, "path": str(options.config_path),
            "json_logging": options.json_logging, "allow_proxy": options.allow_proxy}
    print(json.dumps(told))
    return 3
app.main = main
import daos_control.server
daos_control.server.app = app
sys.modules["daos_control.server.app"] = app
from daos_control.cli.daos_server import main as command
command(sys.argv[1:])
"""


def run(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "daos_control.cli.daos_server"]
    return subprocess.run(
        [sys.executable, *program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    path = tmp_path / "daos_server.yml"
    path.write_text(VALID)
    return path


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    path = tmp_path / "spoilt.yml"
    path.write_text(VALID.replace("targets: 1", "targets: x").replace("provider", "provder"))
    return path


def test_the_version_is_printed_byte_for_byte_as_daos_does() -> None:
    done = run("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "DAOS Control Server version 2.8.0\n", "")


@pytest.mark.parametrize("arguments", [("-j", "version"), ("version", "-j"), ("version", "--json")])
def test_the_version_in_json_is_in_the_envelope_wherever_the_flag_stands(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    body = json.loads(done.stdout)
    assert (body["error"], body["status"]) == (None, 0)
    assert body["response"]["name"] == "DAOS Control Server"
    assert body["response"]["version"] == "2.8.0"
    assert list(body) == ["response", "error", "status"]


@pytest.mark.parametrize("group", ["config", "cfg"])
def test_a_valid_file_is_told_so_with_its_notices(group: str, valid: Path) -> None:
    done = run(group, "check", "-o", str(valid))
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == f"{valid} is valid"
    assert second.startswith("  notice: line 2: mgmt_svc_replicas: there is one")


def test_a_spoilt_file_is_told_with_all_its_mistakes_on_the_error_output(spoilt: Path) -> None:
    done = run("config", "check", "-o", str(spoilt))
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == f"ERROR: daos_server: {spoilt} has 2 mistakes:"
    assert lines[1] == "  line 1, column 1: provder: unknown key; did you mean provider?"
    assert lines[2] == "  line 4, column 12: engines[0].targets: must be a whole number, not x"
    assert lines[3].startswith("ERROR: daos_server: serverconfig: code = 701 resolution = ")
    assert len(lines) == 4


def test_a_spoilt_file_in_json_has_each_mistake_apart(spoilt: Path) -> None:
    done = run("-j", "config", "check", "-o", str(spoilt))
    body = json.loads(done.stdout)
    assert done.returncode == 1
    assert body["status"] == -1025
    assert [(p["line"], p["key"], p["nearest"]) for p in body["response"]["problems"]] == [
        (1, "provder", "provider"),
        (4, "engines[0].targets", ""),
    ]


def test_a_file_that_is_not_there_is_told() -> None:
    done = run("config", "check", "-o", "/nonexistent/daos_server.yml")
    assert done.returncode == 1
    assert "/nonexistent/daos_server.yml: the file cannot be read: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Please specify one command of: config, dump-topology, network, "),
        (("fly",), "Unknown command `fly'. Please specify one command of: config, dump-topology, network, "),
        (("config",), "Please specify one command of: check or generate"),
        (("version", "now"), "unexpected commandline arguments: [now]"),
        (("start", "--fly"), "No such option"),
        (("start", "-p", "65536"), "65536 is not in the range"),
        (("start", "-g", "a" * 16), "must be a name of 1 to 15 bytes"),
        (("-j", "start"), "this command does not support JSON output"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_and_ends_with_1(arguments: tuple[str, ...], text: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: daos_server: ")
    assert text in done.stderr


def test_a_mistake_with_json_asked_for_is_told_in_the_envelope_too() -> None:
    done = run("-j", "fly")
    assert json.loads(done.stdout)["status"] == -1025
    assert done.returncode == 1


def test_start_runs_the_server_with_file_and_command_line_together(valid: Path) -> None:
    flags = ["-p", "10009", "-g", "other", "-t", "7", "-i", "--embedded-engine", "--auto-format"]
    done = run("-b", "-J", "--allow-proxy", "start", "-o", str(valid), *flags, code=START)
    assert done.returncode == 3
    first, second = done.stdout.splitlines()
    assert first == f"DAOS Server config loaded from {valid}"
    assert json.loads(second) == {
        "port": 10009,
        "name": "other",
        "insecure": True,
        "embedded": True,
        "targets": [7],
        "debug": True,
        "auto_format": True,
        "path": str(valid),
        "json_logging": True,
        "allow_proxy": True,
    }


def test_start_leaves_the_files_values_where_no_flag_is_given(valid: Path) -> None:
    done = run("start", "-o", str(valid), code=START)
    told = json.loads(done.stdout.splitlines()[1])
    assert (told["port"], told["name"], told["insecure"], told["targets"]) == (10001, "daos_server", False, [1])
    assert not any(told[flag] for flag in ("debug", "auto_format", "json_logging", "allow_proxy", "embedded"))


def test_start_without_what_it_needs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "discovery.yml"
    path.write_text("name: a\n")
    done = run("start", "-o", str(path), code=START)
    assert done.returncode == 1
    assert "no fabric provider is set" in done.stderr
    assert "control_metadata.path" in done.stderr
    ignoring = run("start", "-o", str(path), "--ignore-config", code=START)
    assert ignoring.returncode == 1
    assert "the configuration without a file has 2 mistakes" in ignoring.stderr


def test_start_with_a_spoilt_file_is_refused(spoilt: Path) -> None:
    done = run("start", "-o", str(spoilt), code=START)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has 2 mistakes" in done.stderr


def test_the_deprecated_storage_flag_is_told_and_applied_to_engine_0_only(valid: Path) -> None:
    done = run("start", "-o", str(valid), "-s", "/mnt/other", code=START)
    assert done.returncode == 3
    assert "-s, --storage is deprecated" in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("start", "--help"), ("version",), ("fly",)])
def test_help_version_and_mistakes_do_not_load_what_only_a_server_needs(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys, atexit; from daos_control.cli.daos_server import main;"
        " atexit.register(lambda: print([m for m in ('pydantic', 'grpc', 'yaml') if m in sys.modules]));"
        " main(sys.argv[1:])"
    )
    done = run(*arguments, code=code)
    assert done.stdout.splitlines()[-1] == "[]"
