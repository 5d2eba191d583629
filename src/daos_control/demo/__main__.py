"""Command line of the demo: `./dev demo`, `./dev shell`."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

from daos_control.demo.layout import FIRST_CONTROL_PORT
from daos_control.demo.namespace import NamespaceError, enter
from daos_control.demo.session import Demo, DemoError


def say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state", type=click.Path(path_type=Path), required=True, help="Directory for everything the demo makes."
)
@click.option(
    "--hosts", type=click.IntRange(1, 16), default=1, show_default=True, help="Servers, one address each."
)
@click.option("--engines", type=click.IntRange(1, 8), default=2, show_default=True, help="Engines of each server.")
@click.option(
    "--port", type=click.IntRange(1024, 65000), default=FIRST_CONTROL_PORT, help="Control port to try first."
)
@click.option("--once", is_flag=True, help="End everything again and exit 0, or not 0 where something failed.")
@click.option("--stop", is_flag=True, help="End the running demo and remove its state.")
@click.option("--shell", is_flag=True, help="A shell in which dmg talks to the running demo.")
def main(state: Path, hosts: int, engines: int, port: int, once: bool, stop: bool, shell: bool) -> None:
    """Run a whole DAOS system on this machine: servers, embedded engines, certificates, a pool."""
    state = state.absolute()
    try:
        if stop:
            Demo(state, say).down()
            say("The demo is ended; nothing is left of it.")
        elif shell:
            _shell(Demo(state, say))
        else:
            enter(sys.argv[1:])
            _run(Demo(state, say), hosts=hosts, engines=engines, port=port, once=once)
    except (DemoError, NamespaceError, OSError) as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(1)


def _run(demo: Demo, *, hosts: int, engines: int, port: int, once: bool) -> None:
    try:
        demo.up(hosts=hosts, engines=engines, port=port)
    except KeyboardInterrupt:
        demo.down()
        raise
    except Exception:
        if once:
            demo.down()
        else:
            click.echo("What was started is left as it is; end it with: ./dev demo --stop", err=True)
        raise
    if once:
        demo.down()
        say("Everything is ended and removed again.")
        return
    say("  go on:  ./dev shell         a shell in which dmg talks to this system")
    say("  stop:   ./dev demo --stop")


def _shell(demo: Demo) -> None:
    config = demo.control_config()
    bash = shutil.which("bash") or "/bin/bash"
    with tempfile.NamedTemporaryFile("w", prefix="daos-demo-", suffix=".rc", delete=False) as rc:
        rc.write(f"rm -f {rc.name}\n")
        rc.write("[ -f ~/.bashrc ] && . ~/.bashrc\n")
        rc.write(f"dmg() {{ command dmg -o '{config}' \"$@\"; }}\n")
        rc.write("PS1='(daos demo) '$PS1\n")
    say("dmg talks to the demo here; try: dmg system query, dmg pool list, dmg --help")
    os.execve(bash, [bash, "--rcfile", rc.name, "-i"], demo.environment())


if __name__ == "__main__":
    main()
