"""dmg cert: certificates."""

from pathlib import Path

import click

from daos_control.cli import session
from daos_control.cli.parsing import Command, Group

command = Group("cert", help="Certificates of the components of a system.")


@command.command("init", cls=Command)
@click.argument("directory", metavar="<directory>", type=click.Path(path_type=Path))
@click.option(
    "--days", type=click.IntRange(min=1), default=1095, show_default=True, help="How long they are valid."
)
def init(directory: Path, days: int) -> None:
    """Make a certificate authority, and a certificate for each component, in a new directory.

    Copy to each machine what it needs: daosCA.crt to all; server.* and clients/ to the servers, admin.* to
    administrators, agent.* to clients. Keep daosCA.key in a safe place.
    """
    from daos_control.security import certs

    out = session.console()
    files = certs.init(directory, days=days)
    if out.json:
        out.document({"directory": str(directory), "files": [str(path) for path in files]})
        return
    out.info("".join(f"{path}\n" for path in files))
