"""dmg system {get,set,del}-attr and {get,set}-prop."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from daos_control.cli import session
from daos_control.cli.names_values import names, names_values
from daos_control.cli.parsing import Command, Converted
from daos_control.client.errors import operation
from daos_control.faults import ControlError
from daos_control.system.properties import SystemProperty, find_property

if TYPE_CHECKING:
    from daos_control.client.connection import Client


def _property(name: str) -> SystemProperty:
    try:
        return find_property(name)
    except ControlError:
        raise ControlError(f"invalid system property key: {name}") from None


def _property_names(text: str) -> tuple[str, ...]:
    return tuple(_property(name).name for name in names(text))


def _property_values(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in names_values(text).items():
        which = _property(name)
        found[which.name] = which.check(value)
    return found


_NAMES = Converted("names", names)
_NAMES_VALUES = Converted("names and values", names_values)
_PROPERTIES = Converted("properties", _property_names)
_PROPERTY_VALUES = Converted("properties and values", _property_values)


@click.command("set-attr", cls=Command)
@click.argument("attributes", metavar="system attributes to set (key:val[,key:val...])", type=_NAMES_VALUES)
def set_attr(attributes: dict[str, str]) -> None:
    """Set attributes of the system: names and values of your own."""
    from daos_control.client import attributes as api

    _do("set-attr", partial(api.set_attributes, attributes=attributes))


@click.command("del-attr", cls=Command)
@click.argument("keys", metavar="system attributes to delete (key[,key...])", type=_NAMES)
def del_attr(keys: tuple[str, ...]) -> None:
    """Delete attributes of the system."""
    from daos_control.client import attributes as api

    _do("del-attr", partial(api.delete_attributes, keys=keys))


@click.command("get-attr", cls=Command)
@click.argument("keys", metavar="system attributes to get (key[,key...])", type=_NAMES, required=False, default=())
def get_attr(keys: tuple[str, ...]) -> None:
    """Show attributes of the system: those named, or all."""
    from daos_control.cli import print_system
    from daos_control.client import attributes as api

    out = session.console()
    with operation("system get-attr failed"):
        response = session.run(partial(api.get_attributes, keys=keys))
    out.document(response)
    out.info(print_system.attributes(response.attributes or {}))


@click.command("set-prop", cls=Command)
@click.argument("values", metavar="system properties to set (key:val[,key:val...])", type=_PROPERTY_VALUES)
def set_prop(values: dict[str, str]) -> None:
    """Set properties of the system."""
    from daos_control.client import attributes as api

    _do("set-prop", partial(api.set_properties, values=values))


@click.command("get-prop", cls=Command)
@click.argument(
    "keys", metavar="system properties to get (key[,key...])", type=_PROPERTIES, required=False, default=()
)
def get_prop(keys: tuple[str, ...]) -> None:
    """Show properties of the system: those named, or all."""
    from daos_control.cli import print_system
    from daos_control.client import attributes as api

    out = session.console()
    with operation("system get-prop failed"):
        response = session.run(partial(api.get_properties, names=keys))
    out.document(response)
    out.info(print_system.properties(response))


def _do(name: str, work: "Callable[[Client], Awaitable[Any]]") -> None:
    out = session.console()
    with operation(f"system {name} failed"):
        session.run(work)
    out.document(None)
    out.info(f"system {name} succeeded")


SETTINGS: Final = (set_attr, get_attr, del_attr, set_prop, get_prop)
