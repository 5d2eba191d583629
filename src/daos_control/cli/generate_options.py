"""The options of `daos_server config generate` and `dmg config generate`, and what is asked for with them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from daos_control.config.generate import GenerateRequest

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("-a", "--access-points", metavar="HOSTS", help="Deprecated name of --ms-replicas."),
    click.option(
        "-r",
        "--ms-replicas",
        metavar="HOSTS",
        default="localhost",
        help="Hosts of the management service, with commas between them.",
    ),
    click.option(
        "-e",
        "--num-engines",
        type=click.IntRange(min=0),
        default=0,
        help="Number of engines; by default one for each NUMA node.",
    ),
    click.option("-s", "--scm-only", is_flag=True, help="Do without NVMe SSDs."),
    click.option(
        "-c",
        "--net-class",
        type=click.Choice(["ethernet", "infiniband"]),
        default="infiniband",
        help="Kind of the network that engines use.",
    ),
    click.option("-p", "--net-provider", default="", metavar="NAME", help="Fabric provider; by default the best."),
    click.option("-t", "--use-tmpfs-scm", is_flag=True, help="Use RAM for SCM in place of persistent memory."),
    click.option(
        "-m",
        "--control-metadata-path",
        default="",
        metavar="DIR",
        help="Keep metadata on SSDs, and the control plane's own in this directory; with --use-tmpfs-scm.",
    ),
    click.option(
        "-f",
        "--fabric-ports",
        default="",
        metavar="PORTS",
        help="Ports of the engines, with commas between them; by default 31416, 32416, ...",
    ),
)


def generate_options(command: F) -> F:
    """All of them, for a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_of(
    *,
    access_points: str | None,
    ms_replicas: str,
    num_engines: int,
    scm_only: bool,
    net_class: str,
    net_provider: str,
    use_tmpfs_scm: bool,
    control_metadata_path: str,
    fabric_ports: str,
    notice: Callable[[str], None],
) -> "GenerateRequest":
    """The request; `notice` is told that an option is deprecated. ControlError for values that are none."""
    from daos_control.config.generate.request import GenerateRequest, NetClass, parse_ports, parse_replicas

    if access_points:
        notice("access-points is deprecated; please use ms-replicas instead")
    return GenerateRequest(
        replicas=parse_replicas(access_points or ms_replicas),
        engines=num_engines,
        scm_only=scm_only,
        net_class=NetClass[net_class.upper()],
        provider=net_provider,
        tmpfs_scm=use_tmpfs_scm,
        metadata_path=Path(control_metadata_path) if control_metadata_path else None,
        fabric_ports=parse_ports(fabric_ports),
    )
