"""dmg storage."""

from typing import TYPE_CHECKING

import click

from daos_control.cli import dmg_storage_nvme, print_storage, print_usage, session
from daos_control.cli.parsing import Command, CommandLineError, Converted, Group
from daos_control.cli.print_hosts import host_errors, hosts_json
from daos_control.cli.sizing import memory_ratio
from daos_control.system.hosts import HostSet

if TYPE_CHECKING:
    from daos_control.cli.console import Waiting
    from daos_control.client.connection import Client
    from daos_control.client.storage import StorageResponse

command = Group("storage", help="Storage devices of the servers.")
query = Group("query", help="What is on the storage devices.")
command.add_command(query)
dmg_storage_nvme.add_to(command)


@command.command("scan", cls=Command)
@session.host_list
@click.option("-v", "--verbose", is_flag=True, help="List each device.")
@click.option("-n", "--nvme-health", is_flag=True, help="Show the health of NVMe devices.")
def scan(hosts: HostSet | None, verbose: bool, nvme_health: bool) -> None:
    """List the persistent memory and the NVMe devices of the servers."""
    from daos_control.client import storage

    if verbose and nvme_health:
        raise CommandLineError("cannot use --verbose with --nvme-health")
    asked = session.asked_hosts(hosts)
    response = session.run(
        lambda client: storage.scan(
            client, asked, nvme_health=nvme_health, nvme_basic=not (verbose or nvme_health)
        ),
        waiting="Scanning storage",
        hosts=asked,
    )
    groups = response.groups or ()
    if nvme_health:
        text = print_storage.nvme_health(groups)
    else:
        text = print_storage.devices(groups) if verbose else print_storage.summary(groups)
    _show(response, text, json_failure=response.failure)


@command.command("format", cls=Command)
@session.host_list
@click.option("-v", "--verbose", is_flag=True, help="Show the result of each device.")
@click.option("--force", is_flag=True, help="Format anew, stopping engines that run: what is stored is lost.")
@click.option("--replace", is_flag=True, help="Let an engine whose metadata is lost take its old rank again.")
def format_(hosts: HostSet | None, verbose: bool, force: bool, replace: bool) -> None:
    """Format the storage of servers that wait for it."""
    from daos_control.client import storage

    asked = session.asked_hosts(hosts)
    if replace and force:
        raise session.exclusive("replace", "force")
    if replace and len(asked) != 1:
        raise CommandLineError("command expects a single host in hostlist if replace option used")

    async def work(client: "Client", shown: "Waiting") -> "StorageResponse":
        total = len(client.pick_hosts(asked))
        done = 0

        def finished(_result: object) -> None:
            nonlocal done
            done += 1
            shown.update(f"Formatting storage: {done} of {total} hosts done")

        return await storage.format(client, asked, force=force, replace=replace, report=finished)

    response = session.run_with_progress(work, waiting="Formatting storage", hosts=asked)
    groups = response.groups or ()
    text = print_storage.formatted_devices(groups) if verbose else print_storage.format_summary(groups)
    _show(response, text, json_failure=response.failure)


@query.command("usage", cls=Command)
@session.host_list
@click.option("-u", "--show-usable", is_flag=True, help="Show what new pools could use (metadata on SSDs).")
@click.option(
    "--mem-ratio",
    type=Converted("ratio", memory_ratio),
    default=None,
    help="Share of new pools' metadata to be kept in memory, in percent; with --show-usable.",
)
def usage(hosts: HostSet | None, show_usable: bool, mem_ratio: float | None) -> None:
    """Show how full the storage of the servers is."""
    from daos_control.client import storage

    if mem_ratio is not None and not show_usable:
        raise CommandLineError("--mem-ratio is only supported with --show-usable flag")
    asked = session.asked_hosts(hosts)
    response = session.run(
        lambda client: storage.usage(client, asked, mem_ratio=mem_ratio or 0.0),
        waiting="Asking for usage",
        hosts=asked,
    )
    out = session.console()
    groups = response.groups or ()
    text = ""
    if not out.json:
        if not response.has_roles:
            if show_usable:
                out.notice("--show-usable flag ignored when MD-on-SSD is not enabled")
            text = print_usage.by_host(groups)
        else:
            text = print_usage.by_rank(groups, usable=show_usable)
    # DAOS's tool does not count failed hosts as a failure of the JSON form of this command.
    _show(response, text, json_failure=None, keep_empty=False)


def _show(
    response: "StorageResponse", text: str, *, json_failure: Exception | None, keep_empty: bool = True
) -> None:
    """Errors first, then what was found; fails where a host has failed."""
    out = session.console()
    if out.json:
        out.document(hosts_json(response, "HostStorage", response.groups), json_failure)
        if json_failure is not None:
            raise json_failure
        return
    if response.host_errors:
        out.error(host_errors(response))
    if text or keep_empty:
        out.info(text)
    if response.failure is not None:
        raise response.failure
