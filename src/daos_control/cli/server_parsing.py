"""How `daos_server` takes its command line: flags that every command has, groups, and second names."""

import os
from collections.abc import MutableMapping
from typing import Any

import click

from daos_control.faults import ControlError

_TRUE_WORDS = ("1", "t", "T", "true", "TRUE", "True")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "socks_proxy", "no_proxy")
_GLOBAL_FLAGS = (
    (("--allow-proxy",), "Allow proxy configuration through the environment."),
    (("-b", "--debug"), "Log what the server does in detail."),
    (("-j", "--json"), "Print the result as JSON."),
    (("-J", "--json-logging"), "Log in JSON."),
    (("--syslog",), "Log to syslog."),
)


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_meta_key(param.name or "")] = True


def _meta_key(name: str) -> str:
    return f"{__name__}.{name}"


def flag(name: str) -> bool:
    """Whether one of the flags of all commands is given: "json", "debug", "json_logging", "syslog", ..."""
    return bool(click.get_current_context().meta.get(_meta_key(name), False))


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """The flags of `daos_server` itself; every command takes them, too, as DAOS's does."""
    return [
        click.Option(names, is_flag=True, help=doc, hidden=hidden, expose_value=False, callback=_remember)
        for names, doc in _GLOBAL_FLAGS
    ]


class Command(click.Command):
    """A command without positional arguments."""

    json_supported = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_options(hidden=True)
        self.allow_extra_args = True

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.args:
            raise ControlError(f"unexpected commandline arguments: [{' '.join(ctx.args)}]")
        if not self.json_supported and ctx.meta.get(_meta_key("json")):
            raise ControlError("this command does not support JSON output")
        if not ctx.meta.get(_meta_key("allow_proxy")):
            scrub_proxies(os.environ)
        return super().invoke(ctx)


class TextCommand(Command):
    """A command whose result is text only."""

    json_supported = False


class Group(click.Group):
    """Commands, some of which have a second name; a mistake in the name lists all of them."""

    command_class = Command
    second_names: dict[str, str] = {"cfg": "config", "gen": "generate"}  # noqa: RUF012

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, self.second_names.get(name, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise ControlError(f"Unknown command `{args[0]}'. {self.choices(ctx)}")
        return super().resolve_command(ctx, args)

    def choices(self, ctx: click.Context) -> str:
        """What to say where no command, or an unknown one, is given."""
        names = self.list_commands(ctx)
        if len(names) == 1:
            return f"You must use the {names[0]} command"
        return f"Please specify one command of: {', '.join(names[:-1])} or {names[-1]}"


def scrub_proxies(environment: MutableMapping[str, str]) -> None:
    """Take proxy settings out of the environment, which gRPC would follow; DAOS_DISABLE_PROXY_SCRUB keeps them."""
    if environment.get("DAOS_DISABLE_PROXY_SCRUB") in _TRUE_WORDS:
        return
    for name in _PROXY_VARIABLES:
        environment.pop(name, None)
        environment.pop(name.upper(), None)


def need_command() -> None:
    """Raise ControlError where a group is named and none of its commands."""
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None and isinstance(ctx.command, Group):
        raise ControlError(ctx.command.choices(ctx))
