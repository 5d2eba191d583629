"""dmg server."""

import click

from daos_control.cli import session
from daos_control.cli.parsing import Command, Group
from daos_control.cli.print_hosts import host_errors, hosts_json
from daos_control.client.errors import operation
from daos_control.client.model import plural_word
from daos_control.system.hosts import HostSet

command = Group("server", help="Settings of running servers.", aliases={"slm": "set-logmasks"})


@command.command("set-logmasks", cls=Command)
@session.host_list
@click.option("-m", "--masks", help="LEVEL, or PREFIX=LEVEL,..., as in D_LOG_MASK; without it, as configured.")
@click.option("-d", "--streams", help="Debug streams, as in DD_MASK; '' for all, without it, as configured.")
@click.option("-s", "--subsystems", help="Subsystems, as in DD_SUBSYS; '' for all, without it, as configured.")
def set_log_masks(hosts: HostSet | None, masks: str | None, streams: str | None, subsystems: str | None) -> None:
    """Set the log levels of the engines that run on the servers."""
    from daos_control.client import server

    out = session.console()
    asked = session.asked_hosts(hosts)
    with operation("set engine log level failed"):
        server.check_masks(masks or "")
        response = session.run(
            lambda client: server.set_log_masks(client, asked, masks=masks, streams=streams, subsystems=subsystems),
            waiting="Setting log masks",
            hosts=asked,
        )
        out.document(hosts_json(response, "HostStorage", response.groups), response.failure)
        if response.host_errors and not out.json:
            out.error(host_errors(response))
        for group in response.groups or ():
            word = plural_word(len(group.hosts), "host")
            out.info(f"Engine log-masks updated successfully on the following {word}: {group.hosts}")
        if response.failure is not None:
            raise response.failure
