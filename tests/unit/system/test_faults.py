"""The Faults of servers and of the system: every code has words of its own, and says what to do."""

import inspect
import typing
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault, server, system
from daos_control.faults.system import UnusableDatabaseError

SAMPLES: dict[object, object] = {str: "text-1", int: 3, Path: Path("/x/system.db"), int | None: 28}


def constructors(module: object) -> list[typing.Callable[..., Fault]]:
    return [
        function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__  # type: ignore[attr-defined]
    ]


def made_by(function: typing.Callable[..., Fault]) -> Fault:
    hints = {name: hint for name, hint in typing.get_type_hints(function).items() if name != "return"}
    return function(**{name: SAMPLES.get(hint, ["text-1", "b"]) for name, hint in hints.items()})


ALL = [*constructors(server), *constructors(system)]


@pytest.mark.parametrize("constructor", ALL, ids=lambda f: f.__name__)
def test_a_fault_says_what_happened_and_what_to_do(constructor: typing.Callable[..., Fault]) -> None:
    fault = made_by(constructor)
    assert fault.description
    assert fault.resolution
    assert "\n" not in fault.description + fault.resolution


def test_every_server_code_has_exactly_one_constructor() -> None:
    codes = [made_by(constructor).code for constructor in constructors(server)]
    assert sorted(codes) == list(range(600, 624))
    assert {made_by(c).domain for c in constructors(server)} == {"server"}


def test_the_system_codes_are_complete() -> None:
    codes = {made_by(constructor).code for constructor in constructors(system)}
    assert codes == {Code.SYSTEM_UNKNOWN, 401, 402, 403}
    assert {made_by(c).domain for c in constructors(system)} == {"system"}


def test_a_file_that_retrying_cannot_help_is_told_apart() -> None:
    unusable = {c.__name__ for c in constructors(system) if isinstance(made_by(c), UnusableDatabaseError)}
    assert unusable == {"database_damaged", "database_foreign", "database_newer"}
    assert system.database_failed(Path("/x/y"), "write", "full", 28).errno == 28
