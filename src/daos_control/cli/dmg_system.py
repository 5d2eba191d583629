"""dmg system: the members, and what is done to them. Attributes and properties are in `dmg_system_settings`."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from daos_control.cli import session
from daos_control.cli.dmg_pool import pool_list
from daos_control.cli.dmg_system_settings import SETTINGS
from daos_control.cli.parsing import Command, CommandLineError, Converted, Group
from daos_control.client.errors import operation
from daos_control.faults import ControlError
from daos_control.system.hosts import HostSet
from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState

if TYPE_CHECKING:
    from daos_control.client.system import RanksResponse

command = Group("system", help="The system as a whole, and its ranks.")
command.add_command(pool_list("list-pools", "List the pools of the system."))
for settings_command in SETTINGS:
    command.add_command(settings_command)


def _states(text: str) -> int:
    mask = 0
    for name in text.split(",") if text else ():
        state = MemberState.from_wire_name(name.strip())
        if state is MemberState.UNKNOWN:
            raise ControlError(f'invalid state name "{name}"')
        mask |= state
    return mask


def _rank_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--rank-hosts", type=session.HOSTS, metavar="HOSTS", help="The ranks on these hosts only."),
        click.option("-r", "--ranks", type=session.RANKS, metavar="RANKS", help="These ranks only, as 0-3,5."),
    ):
        function = option(function)
    return function


def _ignore_option(function: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--ignore-admin-excluded", is_flag=True, help="Pass over ranks that an administrator has excluded."
    )(function)


@command.command("query", cls=Command)
@_rank_options
@click.option("-v", "--verbose", is_flag=True, help="One line for each rank.")
@click.option("--not-ok", is_flag=True, help="Only ranks that are not joined.")
@click.option("--with-states", type=Converted("states", _states), default=0, metavar="STATES", help="Only these.")
def query(ranks: RankSet | None, rank_hosts: HostSet | None, verbose: bool, not_ok: bool, with_states: int) -> None:
    """Show the ranks of the system and the state of each."""
    from daos_control.cli import print_system
    from daos_control.client import system

    out = session.console()
    with operation("system query failed"):
        if not_ok and with_states:
            raise CommandLineError("--not-ok and --with-states options cannot be set together")
        _check_exclusive(ranks, rank_hosts)
        response = session.run(
            partial(
                system.query,
                ranks=ranks or RankSet(),
                rank_hosts=rank_hosts or HostSet(),
                states=with_states,
                not_joined=not_ok,
            )
        )
        out.document(response, response.failure)
        text, complaint = print_system.query(response, verbose=verbose)
        out.info(text)
        if complaint and not out.json:
            out.error(complaint)
        if response.failure is not None:
            raise response.failure


@command.command("stop", cls=Command)
@_rank_options
@_ignore_option
@click.option("--force", is_flag=True, help="Stop at once; this is what a stop does in any case.")
@click.option("--full", is_flag=True, hidden=True, help="Stop the whole system in order, pools first.")
def stop(
    ranks: RankSet | None, rank_hosts: HostSet | None, ignore_admin_excluded: bool, force: bool, full: bool
) -> None:
    """Stop the engines of the system, or of some ranks."""
    from daos_control.client import system

    with operation("system stop failed"):
        if force and full:
            raise session.exclusive("force", "full")
        if full and rank_hosts:
            raise session.exclusive("full", "rank-hosts")
        if full and ranks:
            raise session.exclusive("full", "ranks")
        _check_exclusive(ranks, rank_hosts)
        work = partial(
            system.stop,
            ranks=ranks or RankSet(),
            rank_hosts=rank_hosts or HostSet(),
            full=full,
            ignore_admin_excluded=ignore_admin_excluded,
        )
        _show_results(session.run(work, waiting="Stopping engines"))


@command.command("start", cls=Command)
@_rank_options
@_ignore_option
def start(ranks: RankSet | None, rank_hosts: HostSet | None, ignore_admin_excluded: bool) -> None:
    """Start the engines of the system, or of some ranks."""
    from daos_control.client import system

    with operation("system start failed"):
        _check_exclusive(ranks, rank_hosts)
        work = partial(
            system.start,
            ranks=ranks or RankSet(),
            rank_hosts=rank_hosts or HostSet(),
            ignore_admin_excluded=ignore_admin_excluded,
        )
        _show_results(session.run(work, waiting="Starting engines"))


@command.command("erase", cls=Command)
def erase() -> None:
    """Forget the system, so that its storage can be formatted again; all ranks must be stopped."""
    from daos_control.client import system

    response = session.run(system.erase, waiting="Erasing the system")
    if response.failure is not None:
        raise response.failure


@command.command("leader-query", cls=Command)
@click.option("-N", "--down-replicas", is_flag=True, help="Only the replicas that do not answer.")
def leader_query(down_replicas: bool) -> None:
    """Show which server leads the management service, and its replicas."""
    from daos_control.cli import print_system
    from daos_control.client import system

    out = session.console()
    with operation("leader query failed"):
        response = session.run(system.leader_query)
        out.document(response)
        if down_replicas:
            out.info(f"Unresponsive Replicas: {', '.join(response.down_replicas)}\n")
        else:
            out.info(print_system.leader(response))


def _show_results(response: "RanksResponse") -> None:
    from daos_control.cli import print_system

    out = session.console()
    out.document(response, response.failure)
    text, complaint = print_system.results(response)
    out.info(text)
    if complaint and not out.json:
        out.error(complaint)
    if response.failure is not None:
        raise response.failure


def _check_exclusive(ranks: RankSet | None, rank_hosts: HostSet | None) -> None:
    if ranks and rank_hosts:
        raise CommandLineError("--ranks and --rank-hosts options cannot be set together")
