"""The server's log: levels of DAOS, text and JSON, the file."""

import io
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daos_control.faults import Fault
from daos_control.server import logs


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def written(mask: str, *, as_json: bool = False) -> list[str]:
    stream = io.StringIO()
    logs.configure(mask=mask, file=None, as_json=as_json, stream=stream)
    log = logging.getLogger("daos_control.test")
    for level in (logs.TRACE, logging.DEBUG, logging.INFO, logs.NOTICE, logging.ERROR):
        log.log(level, "level %d", level)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        ("TRACE", ["TRACE", "DEBUG", "INFO", "NOTICE", "ERROR"]),
        ("debug", ["DEBUG", "INFO", "NOTICE", "ERROR"]),
        ("INFO", ["INFO", "NOTICE", "ERROR"]),
        ("NOTICE", ["NOTICE", "ERROR"]),
        ("ERROR", ["ERROR"]),
        ("DISABLED", []),
    ],
)
def test_a_mask_lets_its_level_and_those_above_through(mask: str, names: list[str]) -> None:
    lines = written(mask)
    assert [line.split()[1] for line in lines] == names
    assert all(line.startswith("daos_server ") for line in lines)


def test_json_lines_have_the_keys_of_daos() -> None:
    entries = [json.loads(line) for line in written("NOTICE", as_json=True)]
    assert [(entry["level"], entry["message"]) for entry in entries] == [
        ("NOTICE", "level 25"),
        ("ERROR", "level 40"),
    ]
    assert all(entry["time"] for entry in entries)


def test_a_traceback_is_part_of_its_json_entry() -> None:
    stream = io.StringIO()
    logs.configure(mask="INFO", file=None, as_json=True, stream=stream)
    try:
        raise ValueError("what happened")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    (entry,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert "what happened" in entry["traceback"]


def test_the_file_is_appended_to_and_the_stream_has_it_as_well(tmp_path: Path) -> None:
    file, stream = tmp_path / "server.log", io.StringIO()
    for text in ("one", "two"):
        logs.configure(mask="INFO", file=file, as_json=False, stream=stream)
        logging.getLogger("x").info(text)
    assert [line.split()[-1] for line in file.read_text().splitlines()] == ["one", "two"]
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["one", "two"]
    assert stat.S_IMODE(file.stat().st_mode) & 0o113 == 0


def test_a_file_that_cannot_be_opened_is_a_fault_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        logs.configure(mask="INFO", file=tmp_path / "none" / "log", as_json=False)
    assert str(tmp_path / "none" / "log") in caught.value.description
