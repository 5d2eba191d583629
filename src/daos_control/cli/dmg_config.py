"""dmg config."""

from typing import Any

from daos_control.cli import session
from daos_control.cli.generate_options import generate_options, request_of
from daos_control.cli.parsing import Command, Group
from daos_control.cli.print_hosts import host_errors
from daos_control.client.errors import PartialFailureError
from daos_control.client.model import HostsResponse
from daos_control.system.hosts import HostSet

command = Group("config", help="Configuration of the servers.", aliases={"gen": "generate"})


@command.command("generate", cls=Command)
@session.host_list
@generate_options
def generate(hosts: HostSet | None, **given: Any) -> None:
    """Make a server configuration for the hardware that all the servers have."""
    from daos_control.cli import config_json
    from daos_control.client import config
    from daos_control.config.generate import to_yaml

    out = session.console()
    asked = session.asked_hosts(hosts)
    request = request_of(**given, notice=out.notice)
    try:
        made = session.run(
            lambda client: config.generate(client, request, asked), waiting="Looking at the hardware", hosts=asked
        )
    except PartialFailureError as failure:
        if not out.json and isinstance(failure.response, HostsResponse):
            out.error(host_errors(failure.response))
        raise
    if out.json:
        out.document(config_json.body(made))
    else:
        out.info(to_yaml(made))
