"""The operator's page is that of the models, and every error says what to do."""

import inspect
import re
import typing

import pytest

from daos_control.cli.daos_server import daos_server
from daos_control.config.document import checked_in_page, page, rows
from daos_control.config.models import EngineConfig, Extensions, ServerConfig, StorageTier
from daos_control.config.problems import Finding, Problem, format_key, nearest_key
from daos_control.faults import Fault, serverconfig


def test_the_checked_in_page_is_up_to_date() -> None:
    message = "run: python -m daos_control.config.document > docs/configuration.md"
    assert checked_in_page().read_text() == page(), message


@pytest.mark.parametrize("model", [ServerConfig, EngineConfig, StorageTier, Extensions])
def test_every_key_has_a_type_and_a_sentence_in_the_page(model: type) -> None:
    text = page()
    for row in rows(model):
        assert row.type
        assert row.doc.endswith(".")
        assert re.search(rf"`(daos_control\.)?{re.escape(row.name)}`", text)


def constructors() -> list[typing.Any]:
    made = inspect.getmembers(serverconfig, inspect.isfunction)
    return [
        function
        for name, function in made
        if not name.startswith("_") and function.__module__ == serverconfig.__name__
    ]


def sample(function: typing.Any) -> Fault:
    samples = {"int": 7, "str": "text", "tuple": ("a", "b"), "dict": {0: 1}}
    given = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = parameter.annotation
        given[name] = samples[getattr(typing.get_origin(annotation) or annotation, "__name__", "")]
    made = function(**given)
    assert isinstance(made, Fault)
    return made


@pytest.mark.parametrize("function", constructors(), ids=lambda function: function.__name__)
def test_every_fault_of_the_configuration_says_what_happened_and_what_to_do(function: typing.Any) -> None:
    fault = sample(function)
    assert fault.domain in ("serverconfig", "storage")
    assert fault.description
    assert fault.resolution
    assert not fault.description.endswith(".")


def test_every_code_from_701_that_can_be_raised_has_a_constructor() -> None:
    never_raised = {700, 708, 727, 733}
    codes = {sample(function).code for function in constructors()}
    assert {code for code in codes if 700 <= code < 800} == set(range(701, 741)) - never_raised
    assert {code for code in codes if code < 700} == {216, 307, 308, 309, *range(312, 320)}


@pytest.mark.parametrize("function", constructors(), ids=lambda function: function.__name__)
def test_each_command_that_a_resolution_names_exists(function: typing.Any) -> None:
    for words in re.findall(r"`daos_server ([a-z -]+)`", sample(function).resolution):
        command: typing.Any = daos_server
        for word in (word for word in words.split(" -")[0].split()):
            command = command.commands[word]


def test_paths_are_written_as_in_the_file() -> None:
    assert format_key(("engines", 1, "storage", 0, "scm_size")) == "engines[1].storage[0].scm_size"
    assert format_key(()) == ""


@pytest.mark.parametrize(
    ("name", "nearest"), [("Port", "port"), ("socket-dir", "socket_dir"), ("enigne", "engine"), ("zzz", "")]
)
def test_the_nearest_key_is_found_past_case_and_hyphens(name: str, nearest: str) -> None:
    assert nearest_key(name, ["port", "socket_dir", "engine"]) == nearest


def test_a_problem_reads_as_one_sentence() -> None:
    problem = Problem("f", "port", "must be from 1 to 65535, not 0", "a port number", "", 3, 7, 703)
    assert str(problem) == "line 3, column 7: port: must be from 1 to 65535, not 0 (a port number) [code 703]"


def test_a_finding_depends_on_what_is_above_and_below_its_keys() -> None:
    finding = Finding(("engines", 0, "targets"), "x", involves=(("provider",),))
    assert finding.depends_on([("engines", 0)])
    assert finding.depends_on([("engines", 0, "targets")])
    assert finding.depends_on([("provider",)])
    assert not finding.depends_on([("engines", 1), ("engines", 0, "storage"), ("port",)])
