"""dmg version."""

from datetime import UTC, datetime
from pathlib import Path

import click

from daos_control import version
from daos_control.cli import session
from daos_control.cli.parsing import Command

NAME = "DAOS Admin Tool"


@click.command("version", cls=Command)
def command() -> None:
    """Print the version of dmg: the version of DAOS that it speaks."""
    out = session.console()
    if out.json:
        installed = datetime.fromtimestamp(Path(version.__file__).stat().st_mtime, UTC)
        out.document(
            {
                "name": NAME,
                "version": version.DAOS_VERSION,
                "release": True,
                "build_time": installed.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "build_info": f"daos-control {version.PRODUCT_VERSION}",
            }
        )
        return
    out.info(f"{NAME} version {version.DAOS_VERSION}")
