"""dmg: administer a DAOS system from the command line.

The commands are in one module for each group (`dmg_pool`, `dmg_system`, ...), loaded when one of theirs is asked
for; so is everything that talks to servers. Exit code 0, or 1 for any failure.
"""

import sys
from collections.abc import Sequence

import click

from daos_control.cli import session
from daos_control.cli.console import Console
from daos_control.cli.parsing import Globals, Group, asks_for_json, mistake
from daos_control.client.errors import CALL_ERRORS
from daos_control.faults import ControlError

EXIT_INTERRUPTED = 130

root = Group(
    session.PROGRAM,
    help="Administer the servers, storage, pools and settings of a DAOS system.",
    modules={
        "cert": ("daos_control.cli.dmg_cert", "Make certificates for the components of a system"),
        "config": ("daos_control.cli.dmg_config", "Configuration of the servers"),
        "network": ("daos_control.cli.dmg_network", "Fabric interfaces of the servers"),
        "pool": ("daos_control.cli.dmg_pool", "Pools of the system"),
        "server": ("daos_control.cli.dmg_server", "Settings of running servers"),
        "server-version": ("daos_control.cli.dmg_server_version", "Print the version of the servers"),
        "storage": ("daos_control.cli.dmg_storage", "Storage devices of the servers"),
        "system": ("daos_control.cli.dmg_system", "The system as a whole, and its ranks"),
        "version": ("daos_control.cli.dmg_version", "Print the version of dmg"),
    },
    aliases={"cfg": "config", "net": "network", "srv": "server", "sto": "storage", "sys": "system"},
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program and exit."""
    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))


def run(args: list[str]) -> int:
    """Run one command; the exit code."""
    given = Globals()
    try:
        code = root.main(args=args, prog_name=session.PROGRAM, obj=given, standalone_mode=False)
    except click.ClickException as e:
        return _fail(given, args, mistake(e))
    except CALL_ERRORS as e:
        return _fail(given, args, e)
    except OSError as e:
        return _fail(given, args, ControlError(str(e)))
    except (KeyboardInterrupt, click.Abort):
        print(f"\n{session.PROGRAM}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    if isinstance(code, int) and code:
        return code
    helped = code == 0
    if given.json and not helped and (given.console is None or not given.console.wrote_json):
        _console(given, args).document(None)
    return 0


def _fail(given: Globals, args: Sequence[str], failure: Exception) -> int:
    console = _console(given, args)
    console.document(None, failure)
    console.failed(failure)
    return 1


def _console(given: Globals, args: Sequence[str]) -> Console:
    if given.console is None:
        given.console = Console(
            session.PROGRAM,
            json=given.json or asks_for_json(args),
            json_logs=given.json_logs,
            log_file=given.log_file,
        )
    return given.console


if __name__ == "__main__":
    main()
