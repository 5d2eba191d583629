"""dmg server-version."""

import click

from daos_control.cli import session
from daos_control.cli.parsing import Command
from daos_control.client.errors import operation
from daos_control.faults import Code, ControlError, Fault, RemoteError

NAME = "DAOS Control Server"


@click.command("server-version", cls=Command)
def command() -> None:
    """Print the version of DAOS that the servers speak."""
    from daos_control.client import server

    out = session.console()
    with operation("GetAttachInfo failed"):
        try:
            info = session.run(server.attach_info)
        except RemoteError as e:
            raise _denied(e) from e
    if out.json:
        found = {"name": NAME, "version": info.build.version, "build_info": info.build.tag}
        out.document({name: value for name, value in found.items() if value})
        return
    out.info(f"{NAME} version {info.build.version}")


def _denied(error: RemoteError) -> Exception:
    """Servers with certificates answer this to agents only; an administrator's certificate does not open it."""
    if error.code != "PermissionDenied":
        return ControlError(str(error))
    return Fault(
        "client",
        Code.CLIENT_UNKNOWN,
        "the servers tell their version to the certificate of an agent only, not to that of an administrator",
        "run 'daos_server version' on a server; that 'dmg system query' works shows that the versions fit together",
    )
