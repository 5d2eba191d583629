"""What every command of dmg does around its own work: configuration, certificates, a client, an event loop."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from daos_control.cli.console import PROGRESS_AFTER_SECONDS, Console, Waiting
from daos_control.cli.parsing import CommandLineError, Converted, Globals
from daos_control.client.errors import operation
from daos_control.faults import ControlError
from daos_control.system.hosts import HostSet
from daos_control.system.ranks import RankSet

if TYPE_CHECKING:
    from daos_control.client.connection import Client

PROGRAM = "dmg"

T = TypeVar("T")

HOSTS = Converted("hosts", HostSet.parse)
RANKS = Converted("ranks", RankSet.parse)

host_list = click.option(
    "-l",
    "--host-list",
    "hosts",
    type=HOSTS,
    metavar="HOSTS",
    help="The servers to ask, as server[1-8],login:10001.",
)


def options() -> Globals:
    """The global options of this run."""
    found = click.get_current_context().obj
    assert isinstance(found, Globals)
    return found


def console() -> Console:
    """Where this run's output goes."""
    given = options()
    if given.console is None:
        given.console = Console(
            PROGRAM,
            json=given.json,
            json_logs=given.json_logs,
            debugging=given.debug,
            log_file=given.log_file,
        )
    return given.console


def asked_hosts(hosts: HostSet | None) -> tuple[str, ...]:
    """The servers named with the command, or before it as was the custom once; empty for those configured."""
    return tuple(hosts or HostSet.parse(options().host_list))


def run(
    work: Callable[["Client"], Awaitable[T]],
    *,
    waiting: str = "Waiting for the servers",
    hosts: Sequence[str] = (),
) -> T:
    """Do `work` with a client; `hosts` replace those of the configuration.

    On a terminal `waiting` is shown once it has taken a second, with the reason where a request is sent again.
    Raises what the work raises; Faults of the configuration and of the certificates.
    """
    return run_with_progress(lambda client, _: work(client), waiting=waiting, hosts=hosts)


def run_with_progress(
    work: Callable[["Client", Waiting], Awaitable[T]], *, waiting: str, hosts: Sequence[str] = ()
) -> T:
    """As `run`; `work` may change the text shown."""
    import asyncio

    with console().waiting(waiting) as shown:

        async def main() -> T:
            async with _client(hosts, lambda why: shown.update(f"{waiting}: {why}")) as client:
                if not shown.enabled:
                    return await work(client, shown)
                start = asyncio.get_running_loop().call_later(PROGRESS_AFTER_SECONDS, shown.start)
                try:
                    return await work(client, shown)
                finally:
                    start.cancel()

        return asyncio.run(main())


def _client(hosts: Sequence[str], notice_retry: Callable[[Exception], None]) -> "Client":
    """A client as configured; in the event loop, as its channels belong to it."""
    from daos_control.client.connection import Client
    from daos_control.config import control
    from daos_control.security import tls

    given = options()
    if given.debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="DEBUG %(asctime)s %(name)s: %(message)s")
    try:
        with operation("failed to load control configuration"):
            config = control.load(given.config_path)
    except OSError as e:
        raise ControlError(f"failed to load control configuration: {e}") from e
    configured = config.transport_config
    transport = tls.Transport(
        ca_cert=configured.ca_cert,
        cert=configured.cert,
        key=configured.key,
        allow_insecure=configured.allow_insecure or given.insecure,
    )
    with operation("Unable to load Certificate Data"):
        credentials = tls.client_credentials(transport)
    return Client(
        credentials,
        hosts=hosts or config.hostlist,
        system=config.name,
        port=config.port,
        allow_proxy=given.allow_proxy,
        notice_retry=notice_retry,
    )


def exclusive(name: str, *others: str) -> CommandLineError:
    """The mistake of giving options together that exclude each other."""
    return CommandLineError(f"--{name} may not be mixed with {' or '.join(f'--{other}' for other in others)}")
