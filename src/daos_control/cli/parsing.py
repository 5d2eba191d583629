"""The command line as scripts write it: `-x=value`, global options anywhere, options after arguments.

click does the parsing. What differs from it is here, and so are the texts of mistakes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from daos_control.cli.console import Console
from daos_control.faults import ControlError

_SHORT_WITH_EQUALS = re.compile(r"-([A-Za-z])=(.*)", re.DOTALL)
_ASKS_FOR_JSON = re.compile(r"-[dijJ]*j[dijJ]*")
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class CommandLineError(ControlError):
    """A mistake in the command line."""


@dataclass(slots=True)
class Globals:
    """The options of all commands."""

    config_path: Path | None = None
    insecure: bool = False
    debug: bool = False
    json: bool = False
    json_logs: bool = False
    log_file: Path | None = None
    allow_proxy: bool = False
    host_list: str = ""
    console: Console | None = None


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        # On a command the option is given or not; not given, it leaves what the program's own one has set.
        if value:
            setattr(context.obj, name, Path(value) if name in ("config_path", "log_file") else value)

    return callback


def global_options(*, hidden: bool, taken: frozenset[str] = frozenset()) -> list[click.Option]:
    """The options of all commands, without the spellings that a command uses for something else."""
    table: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
        ("allow_proxy", ("--allow-proxy",), {"help": "Use the proxy that the environment names.", "is_flag": True}),
        ("insecure", ("-i", "--insecure"), {"help": "Connect without certificates.", "is_flag": True}),
        ("debug", ("-d", "--debug"), {"help": "Tell what goes on.", "is_flag": True}),
        ("log_file", ("--log-file",), {"help": "Append what is said to this file.", "metavar": "FILE"}),
        ("json", ("-j", "--json"), {"help": "Answer in JSON.", "is_flag": True}),
        ("json_logs", ("-J", "--json-logging"), {"help": "Write messages as JSON, one a line.", "is_flag": True}),
        ("config_path", ("-o", "--config-path"), {"help": "The control configuration.", "metavar": "FILE"}),
    ]
    options = []
    for name, spellings, details in table:
        free = [spelling for spelling in spellings if spelling not in taken]
        if free:
            options.append(
                click.Option(
                    [f"global_{name}", *free], callback=_store(name), expose_value=False, hidden=hidden, **details
                )
            )
    return options


class Command(click.Command):
    """A command that takes the global options too."""

    def __init__(self, name: str | None, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **(kwargs.get("context_settings") or {})}
        super().__init__(name, **kwargs)
        own = list(self.params)
        self.params += global_options(hidden=True, taken=_spellings(own))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, _split_short(args))
        except click.UsageError as e:
            # The parser does not say whose option it is.
            e.ctx = e.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.obj.host_list and "hosts" not in ctx.params:
            raise CommandLineError("unknown flag `l'/`host-list'")
        return super().invoke(ctx)


class Group(click.Group):
    """Commands under a common name. `modules` are loaded when one of theirs is asked for:
    name -> (module, one line of help); the module has the command as `command`."""

    command_class = Command

    def __init__(
        self,
        name: str | None = None,
        *,
        modules: dict[str, tuple[str, str]] | None = None,
        aliases: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["context_settings"] = {**_HELP, **(kwargs.get("context_settings") or {})}
        super().__init__(name, **kwargs)
        self.no_args_is_help = False
        self.modules = modules or {}
        self.aliases = aliases or {}
        self.params += global_options(hidden=False)
        if self.name == "dmg":
            self.params.append(
                click.Option(["-l", "--host-list"], callback=_store("host_list"), expose_value=False, hidden=True)
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _split_short(args))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.aliases.get(cmd_name, cmd_name)
        if name in self.modules and name not in self.commands:
            loaded = import_module(self.modules[name][0]).command
            assert isinstance(loaded, click.Command)
            self.commands[name] = loaded
        return super().get_command(ctx, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise CommandLineError(self._unknown(ctx, args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, without loading what is only listed, and with the aliases."""
        by_command: dict[str, list[str]] = {}
        for alias, name in self.aliases.items():
            by_command.setdefault(name, []).append(alias)
        rows = []
        for name in self.list_commands(ctx):
            text = self.modules[name][1] if name in self.modules else self._help_of(name)
            others = by_command.get(name)
            rows.append((name, f"{text} (aliases: {', '.join(others)})" if others else text))
        with formatter.section("Available commands"):
            formatter.write_dl(rows)

    def _help_of(self, name: str) -> str:
        return self.commands[name].get_short_help_str(limit=80)

    def choices(self, ctx: click.Context) -> str:
        """What to say where no command of this group is named."""
        names = self.list_commands(ctx)
        if len(names) == 1:
            return f"Please specify the {names[0]} command"
        return f"Please specify one command of: {', '.join(names[:-1])} or {names[-1]}"

    def _unknown(self, ctx: click.Context, name: str) -> str:
        names = self.list_commands(ctx)
        nearest = min(names, key=lambda known: _distance(name, known))
        if _distance(name, nearest) / len(nearest) < 0.5:
            return f"Unknown command `{name}', did you mean `{nearest}'?"
        if len(names) == 1:
            return f"Unknown command `{name}'. You should use the {names[0]} command"
        return f"Unknown command `{name}'. {self.choices(ctx)}"


class Converted(click.ParamType[Any]):
    """A parameter whose text `convert` turns into a value; its ControlError is the mistake."""

    def __init__(self, name: str, convert: Callable[[str], object]) -> None:
        self.name = name
        self._convert = convert

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._convert(value)
        except ControlError as e:
            self.fail(str(e), param, ctx)


def mistake(error: click.ClickException) -> CommandLineError:
    """click's error in the words of this program."""
    return CommandLineError(_mistake(error))


def _mistake(error: click.ClickException) -> str:
    command = error.ctx.command if isinstance(error, click.UsageError) and error.ctx else None
    match error:
        case click.NoSuchOption():
            return f"unknown flag `{error.option_name.lstrip('-')}'"
        case click.BadOptionUsage():
            flag = _flag(command, error.option_name)
            if "requires an argument" in error.message:
                return f"expected argument for flag `{flag}'"
            return f"bool flag `{flag}' cannot have an argument"
        case click.MissingParameter() if command is not None:
            return _missing(command, error.param)
        case click.BadParameter() if isinstance(error.param, click.Option):
            return f"invalid argument for flag `{_names(error.param)}': {error.message}"
        case click.UsageError() if isinstance(command, Group) and error.message.startswith("Missing command"):
            assert error.ctx is not None
            return command.choices(error.ctx)
    extra = re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", error.message, re.DOTALL)
    return f"unexpected arguments: {extra[1]}" if extra else error.message


def asks_for_json(args: Sequence[str]) -> bool:
    """Whether JSON is asked for, also where the rest of the command line is wrong."""
    before = args[: args.index("--")] if "--" in args else args
    return any(arg == "--json" or _ASKS_FOR_JSON.fullmatch(arg) for arg in before)


def _missing(command: click.Command, first: click.Parameter | None) -> str:
    """All required parameters of the kind of `first`, from it on: those before it were given."""
    if first is None:
        return "a required argument was not provided"
    if isinstance(first, click.Option):
        return f"the required flag `{_names(first)}' was not specified"
    later = command.params[command.params.index(first) :]
    names = [f"`{p.metavar}`" for p in later if isinstance(p, click.Argument) and p.required]
    if len(names) == 1:
        return f"the required argument {names[0]} was not provided"
    return f"the required arguments {', '.join(names[:-1])} and {names[-1]} were not provided"


def _names(option: click.Option) -> str:
    """ "-z, --size"."""
    return ", ".join(sorted(option.opts, key=len))


def _flag(command: click.Command | None, spelling: str) -> str:
    for parameter in command.params if command else ():
        if isinstance(parameter, click.Option) and spelling in parameter.opts:
            return _names(parameter)
    return spelling


def _spellings(params: Sequence[click.Parameter]) -> frozenset[str]:
    return frozenset(spelling for param in params for spelling in (*param.opts, *param.secondary_opts))


def _split_short(args: Sequence[str]) -> list[str]:
    """`-x=value` as `-x` and `value`; click would take the "=" into the value."""
    split: list[str] = []
    for position, arg in enumerate(args):
        if arg == "--":
            return [*split, *args[position:]]
        match = _SHORT_WITH_EQUALS.fullmatch(arg)
        split += [f"-{match[1]}", match[2]] if match else [arg]
    return split


def _distance(a: str, b: str) -> int:
    """Insertions, deletions and replacements between two texts."""
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        current = [i]
        for j, y in enumerate(b, start=1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (x != y)))
        previous = current
    return previous[-1]
