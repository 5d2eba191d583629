"""dmg network."""

import click

from daos_control.cli import print_network, session
from daos_control.cli.parsing import Command, Group
from daos_control.cli.print_hosts import host_errors, hosts_json
from daos_control.system.hosts import HostSet

command = Group("network", help="Fabric interfaces of the servers.")


@command.command("scan", cls=Command)
@session.host_list
@click.option(
    "-p", "--provider", default="", help="Only what supports this libfabric provider; 'all' for everything."
)
def scan(hosts: HostSet | None, provider: str) -> None:
    """List the fabric interfaces of the servers; without a provider, for the one they are configured with."""
    from daos_control.client import network

    out = session.console()
    asked = session.asked_hosts(hosts)
    response = session.run(
        lambda client: network.scan(client, asked, provider=provider), waiting="Scanning networks", hosts=asked
    )
    if out.json:
        out.document(hosts_json(response, "HostFabrics", response.groups, content="HostFabric", host_set="HostSet"))
        return
    out.info(host_errors(response) + print_network.fabrics(response.groups or ()))
    if response.failure is not None:
        raise response.failure
