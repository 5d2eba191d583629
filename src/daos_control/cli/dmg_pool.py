"""dmg pool: list, query and destroy pools, their properties and connections. `dmg_pool_create` creates them."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from daos_control.cli import gojson, session
from daos_control.cli.names_values import names, names_values
from daos_control.cli.parsing import Command, CommandLineError, Converted, Group
from daos_control.client.errors import CALL_ERRORS, PartialFailureError, operation
from daos_control.client.pool_types import (
    DEFAULT_MASK,
    HEALTH_ONLY_MASK,
    PoolInfo,
    PoolList,
    PropertyValue,
    QueryMask,
    RebuildState,
)
from daos_control.faults import ControlError
from daos_control.system import pool_properties
from daos_control.system.names import canonical_uuid, is_label
from daos_control.system.pool_properties import PoolProperty

if TYPE_CHECKING:
    from collections.abc import Sequence

command = Group(
    "pool",
    help="Pools of the system.",
    modules={"create": ("daos_control.cli.dmg_pool_create", "Create a pool")},
    aliases={"ls": "list"},
)

_SETTABLE_AT_CREATE_ONLY = {
    "perf_domain": "can't set perf_domain on existing pool.",
    "ec_pda": "can't set EC performance domain affinity on existing pool.",
    "rp_pda": "can't set RP performance domain affinity on existing pool.",
}


def pool_id(text: str) -> str:
    """A label, or a uuid in its usual form."""
    uuid = canonical_uuid(text)
    if uuid is None and not is_label(text):
        raise ControlError(f'invalid label "{text}"')
    return uuid or text


def property_values(text: str) -> "tuple[PropertyValue, ...]":
    """The properties of "name:value,..."; each must be one that exists, with a value that it takes."""
    found: dict[str, PropertyValue] = {}
    for name, value in names_values(text).items():
        which = _property(name, "settable")
        if which.name in found:
            raise ControlError(f'"{which.name}": same key was specified more than once')
        found[which.name] = PropertyValue(which, which.parse(value))
    return tuple(found.values())


def _properties(text: str) -> tuple[PoolProperty, ...]:
    return tuple(_property(name, "gettable") for name in names(text))


def _property(name: str, use: str) -> PoolProperty:
    try:
        return pool_properties.by_name(name)
    except ControlError:
        known = ",".join(p.name for p in pool_properties.TABLE)
        raise ControlError(f'"{name}" is not a {use} property (valid: {known})') from None


POOL = click.argument("pool", metavar="<pool label or UUID>", type=Converted("pool", pool_id))


def pool_list(name: str, text: str) -> click.Command:
    """The command that lists pools; it stands in two groups."""

    @click.command(name, cls=Command, help=text)
    @click.option("-v", "--verbose", is_flag=True, help="With uuids, service ranks and every tier.")
    @click.option("-n", "--no-query", is_flag=True, help="Do not ask the pools themselves.")
    @click.option("-r", "--rebuild-only", is_flag=True, help="Only pools whose rebuild is not idle.")
    def list_(verbose: bool, no_query: bool, rebuild_only: bool) -> None:
        from dataclasses import replace

        from daos_control.cli import print_pool
        from daos_control.client import pool as api

        out = session.console()
        with operation("list pools failed"):
            found = session.run(partial(api.list_pools, query_each=not no_query), waiting="Asking the pools")
            if rebuild_only:
                busy = tuple(p for p in found.pools if p.rebuild and p.rebuild.state is not RebuildState.IDLE)
                found = replace(found, pools=busy)
            out.document(_list_json(found))
            if out.json:
                return
            if found.warnings:
                out.error(found.warnings)
            out.info(print_pool.pools(found, verbose=verbose))
            if found.warnings:
                raise PartialFailureError(found.warnings.rstrip("\n"), found)

    return list_


command.add_command(pool_list("list", "List the pools of the system."))


@command.command("query", cls=Command)
@POOL
@click.option("-t", "--health-only", is_flag=True, help="Leave the space out.")
@click.option("-e", "--show-enabled", is_flag=True, help="Show the ranks that are enabled.")
@click.option("--no-self-heal-check", is_flag=True, help="Do not look at the pool's self-heal property.")
def query(pool: str, health_only: bool, show_enabled: bool, no_self_heal_check: bool) -> None:
    """Show the state, health and space of a pool."""
    from daos_control.cli import print_pool
    from daos_control.client import pool as api

    out = session.console()
    mask = (HEALTH_ONLY_MASK if health_only else DEFAULT_MASK) | QueryMask.DISABLED_ENGINES
    if not no_self_heal_check:
        mask |= QueryMask.SELF_HEAL_POLICY
    if show_enabled:
        mask |= QueryMask.ENABLED_ENGINES
    try:
        info = session.run(partial(api.query, pool=pool, mask=mask))
    except CALL_ERRORS as e:
        out.document(None, e)
        if out.json:
            raise
        with operation("pool query failed"):
            raise
    out.document(_info_json(info))
    out.info(print_pool.info(info))


@command.command("destroy", cls=Command)
@POOL
@click.option("-r", "--recursive", is_flag=True, help="With its containers.")
@click.option("-f", "--force", is_flag=True, help="Although clients are connected.")
def destroy(pool: str, recursive: bool, force: bool) -> None:
    """Destroy a pool and all that is in it."""
    from daos_control.client import pool as api

    _report("Pool-destroy", partial(api.destroy, pool=pool, recursive=recursive, force=force))


@command.command("evict", cls=Command)
@POOL
def evict(pool: str) -> None:
    """Close all connections of clients to a pool."""
    from daos_control.client import pool as api

    _report("Pool-evict", partial(api.evict, pool=pool))


@command.command("get-prop", cls=Command)
@POOL
@click.argument(
    "properties",
    metavar="[key[,key...]]",
    type=Converted("properties", _properties),
    required=False,
    default=(),
)
def get_prop(pool: str, properties: tuple[PoolProperty, ...]) -> None:
    """Show properties of a pool: those named, or all."""
    from daos_control.cli import print_pool
    from daos_control.client import pool as api

    out = session.console()
    with operation("pool get-prop failed"):
        found = session.run(partial(api.get_properties, pool=pool, properties=properties))
    out.document(_properties_json(found))
    out.info(print_pool.properties(pool, found))


@command.command("set-prop", cls=Command)
@POOL
@click.argument(
    "values",
    metavar="<key:val[,key:val1[;val2...]...]>",
    type=Converted("properties and values", property_values),
)
def set_prop(pool: str, values: tuple[PropertyValue, ...]) -> None:
    """Set properties of a pool."""
    from daos_control.client import pool as api

    for item in values:
        if item.which.name in _SETTABLE_AT_CREATE_ONLY:
            raise CommandLineError(_SETTABLE_AT_CREATE_ONLY[item.which.name])
    out = session.console()
    session.run(partial(api.set_properties, pool=pool, values=values))
    out.document(None)
    out.info("pool set-prop succeeded")


def _report(name: str, work: "partial[Any]") -> None:
    out = session.console()
    try:
        session.run(work, waiting=f"{name} is under way")
    except CALL_ERRORS as e:
        out.info(f"{name} command failed: {e}\n")
        raise
    out.info(f"{name} command succeeded\n")


def _list_json(found: PoolList) -> dict[str, object]:
    return {"status": found.status, "pools": [_info_json(pool) for pool in found.pools] or None}


def _info_json(info: PoolInfo) -> object:
    encoded = gojson.encode(info)
    assert isinstance(encoded, dict)
    if info.usage:
        encoded["usage"] = gojson.encode(info.usage)
    return encoded


def _properties_json(found: "Sequence[PropertyValue]") -> list[dict[str, object]]:
    return [
        {"name": p.which.name, "description": p.which.description, "value": p.which.to_json(p.value)} for p in found
    ]
