"""What a Fault tells people to run exists: commands of dmg and daos_server, with their options."""

import importlib
import inspect
import itertools
import pkgutil
import re
import typing
from collections import abc
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

import daos_control.faults
from daos_control.cli import dmg
from daos_control.cli.daos_server import daos_server
from daos_control.faults import Fault
from daos_control.server import problems

SAMPLES: dict[object, object] = {
    str: "text",
    int: 3,
    float: 1.5,
    bool: True,
    object: 7,
    Path: Path("/x/y"),
    int | None: 3,
    dict[int, int]: {0: 1},
    abc.Mapping[int, int]: {0: 1},
    BaseException: ValueError("x"),
}
WORDS = ["a", "b"]

ROOTS: dict[str, click.Command] = {"dmg": dmg.root, "daos_server": daos_server}
# Programs of others: those of their subcommands that this control plane uses, or None where they have none.
OTHERS: dict[str, set[str] | None] = {
    "ndctl": {"list", "create-namespace", "destroy-namespace", "disable-namespace"},
    "ipmctl": {"show", "create", "delete", "version"},
    "modprobe": None,
    "dmesg": None,
    "echo": None,
    "mkdir": None,
    "mount": None,
    "umount": None,
}
QUOTED = re.compile(r"'([a-z_]+(?: [^']*)?)'|`([^`]+)`")
# Of dmg, people are told in prose, too: "run dmg system stop --ranks=3 first".
IN_PROSE = re.compile(r"\bdmg((?: (?:[a-z][a-z-]*|--?[a-z][a-z-]*(?:=[^\s,]+)?))+)")


def constructors() -> Iterator[tuple[str, Callable[..., Exception]]]:
    names = [f"daos_control.faults.{found.name}" for found in pkgutil.iter_modules(daos_control.faults.__path__)]
    for module in [*map(importlib.import_module, names), problems]:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            made = typing.get_type_hints(function).get("return")
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and isinstance(made, type) and issubclass(made, Fault):
                yield f"{module.__name__.removeprefix('daos_control.')}.{name}", function


ALL = dict(constructors())


def made_by(function: Callable[..., Exception]) -> list[Fault]:
    """With each flag set and not set."""
    hints = {name: hint for name, hint in typing.get_type_hints(function).items() if name != "return"}
    given = {name: SAMPLES.get(hint, WORDS) for name, hint in hints.items()}
    flags = [name for name, hint in hints.items() if hint is bool]
    made = [function(**given), function(**given | dict.fromkeys(flags, False))]
    return [fault for fault in made if isinstance(fault, Fault)]


def check_command(words: list[str], *, prose: bool) -> str | None:
    """What is wrong with the command; None where it exists. In prose, words after the command are no part of it."""
    program, *rest = words
    if program not in ROOTS:
        known = OTHERS.get(program, set())
        return None if known is None or (rest and rest[0] in known) else f"{program} is not known to have that"
    command = ROOTS[program]
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0]) if rest else None
        if found is None:
            return f"{program} has no command {' '.join(words[1:])!r}"
        command, rest = found, rest[1:]
    options = {spelling for parameter in command.params for spelling in parameter.opts}
    for option in (word.partition("=")[0] for word in rest if word.startswith("-")):
        if option not in options:
            return f"{' '.join(words)}: there is no option {option}"
    takes_arguments = any(isinstance(parameter, click.Argument) for parameter in command.params)
    strays = [word for word in rest if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
    after_option = {b for a, b in itertools.pairwise(rest) if a.startswith("-")}
    if not prose and not takes_arguments and set(strays) - after_option:
        return f"{' '.join(words)}: {strays} is no command"
    return None


def commands_in(text: str) -> Iterator[tuple[list[str], bool]]:
    """The commands that a text names, and whether they stand in it without quotes."""
    for match in QUOTED.finditer(text):
        words = (match[1] or match[2]).split()
        if words[0] in ROOTS or words[0] in OTHERS:
            yield words, False
    for match in IN_PROSE.finditer(QUOTED.sub("", text)):
        yield ["dmg", *match[1].split()], True


@pytest.mark.parametrize("name", ALL)
def test_every_command_that_a_fault_names_exists(name: str) -> None:
    for fault in made_by(ALL[name]):
        for text in (fault.description, fault.resolution):
            wrong = [check_command(words, prose=prose) for words, prose in commands_in(text)]
            assert [what for what in wrong if what is not None] == []


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("faults.bdev.")])
def test_every_fault_of_block_devices_says_what_happened_and_what_to_do(name: str) -> None:
    for fault in made_by(ALL[name]):
        assert len(fault.description.split()) >= 4
        assert not fault.description.endswith(".")
        assert len(fault.resolution.split()) >= 4
        assert fault.resolution.endswith(".")
        assert fault.resolution[0].isupper()


def test_the_check_knows_what_does_not_exist() -> None:
    text = "run 'dmg system nonsense', `daos_server scm prepare --nonsense`, 'ndctl fly', or dmg pool fly first"
    found = [check_command(words, prose=prose) for words, prose in commands_in(text)]
    assert len(found) == 4
    assert all(found)
    good = "run 'dmg system stop', `daos_server scm prepare --force`, 'ndctl list -RN', or dmg pool list first"
    assert [check_command(words, prose=prose) for words, prose in commands_in(good)] == [None] * 4
