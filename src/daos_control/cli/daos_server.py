"""`daos_server`: the command line of the control server.

Only what parsing needs is imported here; a command imports the rest when it runs, so that `--help` and mistakes on
the command line are answered at once.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from daos_control.cli.generate_options import generate_options
from daos_control.cli.server_output import print_error as _print_error
from daos_control.cli.server_output import print_json as _print_json
from daos_control.cli.server_parsing import Group as _Group
from daos_control.cli.server_parsing import TextCommand as _StartCommand
from daos_control.cli.server_parsing import flag as _flag
from daos_control.cli.server_parsing import global_options as _global_options
from daos_control.cli.server_parsing import need_command as _need_command
from daos_control.faults import ControlError, DaosError, Fault, NotLeaderError, NotReplicaError
from daos_control.version import DAOS_VERSION, PRODUCT_VERSION

if TYPE_CHECKING:
    from daos_control.cli.daos_server_nvme import Site
    from daos_control.cli.daos_server_scm import Host
    from daos_control.config.models import ServerConfig
    from daos_control.config.options import Overrides
    from daos_control.config.problems import ConfigError

_F = TypeVar("_F", bound=Callable[..., None])

NAME = "DAOS Control Server"


@click.group(
    cls=_Group,
    params=_global_options(hidden=False),
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
def daos_server() -> None:
    """Control server of a DAOS storage host."""
    _need_command()


_CONFIG_OPTION = click.option(
    "-o", "--config", "config_file", metavar="FILE", help="Server configuration file to read."
)
_IGNORE_OPTION = click.option("--ignore-config", is_flag=True, help="Use no configuration file.")
_HELPER_LOG = click.option("-l", "--helper-log-file", metavar="FILE", help="Log what the privileged helper does.")
_UINT16 = click.IntRange(0, 0xFFFF)


@daos_server.command(cls=_StartCommand)
@_CONFIG_OPTION
@_IGNORE_OPTION
@click.option("-p", "--port", type=_UINT16, help="Port of the control plane.")
@click.option("-s", "--storage", metavar="DIR", help="SCM mount point of engine 0 (deprecated).")
@click.option("-m", "--modules", metavar="LIST", help="Modules that the engines load.")
@click.option("-t", "--targets", type=_UINT16, help="Number of targets of each engine.")
@click.option("-x", "--xshelpernr", type=_UINT16, help="Number of helper threads of each engine.")
@click.option("-f", "--firstcore", type=_UINT16, help="First core that an engine runs on.")
@click.option("-g", "--group", metavar="NAME", help="Name of the DAOS system.")
@click.option("-d", "--socket_dir", metavar="DIR", help="Directory of the sockets of server and engines.")
@click.option("-i", "--insecure", is_flag=True, help="Accept connections without certificates.")
@click.option(
    "--auto-format", is_flag=True, help="Format storage at start, without waiting for dmg storage format."
)
@click.option("--embedded-engine", is_flag=True, help="Run daos_engine_embedded in place of daos_engine.")
def start(
    *,
    config_file: str | None,
    ignore_config: bool,
    auto_format: bool,
    **given: Any,
) -> None:
    """Start daos_server."""
    # What is imported stays for good: looking through it for garbage again and again costs a tenth of the start.
    gc.disable()
    from daos_control.config import checks, server
    from daos_control.config.options import StartOptions

    overrides = _overrides(**given)
    if ignore_config:
        config, path = server.default(overrides), None
    else:
        path = _config_path(config_file)
        config = _load(path, overrides)
        click.echo(f"DAOS Server config loaded from {path}")
    if overrides.storage is not None:
        click.echo("NOTICE: daos_server: -s, --storage is deprecated", err=True)
    server.require(config, list(checks.check_startable(config)))
    options = StartOptions(
        debug=_flag("debug"),
        json_logging=_flag("json_logging"),
        syslog=_flag("syslog"),
        allow_proxy=_flag("allow_proxy"),
        auto_format=auto_format,
        insecure=overrides.insecure,
        config_path=path,
    )
    from daos_control.server.app import main as run_server

    gc.freeze()
    gc.enable()
    raise SystemExit(run_server(config, options))


def _overrides(
    *,
    port: int | None,
    storage: str | None,
    modules: str | None,
    targets: int | None,
    xshelpernr: int | None,
    firstcore: int | None,
    group: str | None,
    socket_dir: str | None,
    insecure: bool,
    embedded_engine: bool,
) -> "Overrides":
    from daos_control.config.options import Overrides
    from daos_control.config.values import ValueProblem, to_system_name

    if group:
        try:
            to_system_name(group)
        except ValueProblem as exc:
            raise ControlError(f"the system name of -g {exc.message}") from None
    return Overrides(
        port=port,
        storage=Path(storage) if storage else None,
        modules=modules,
        targets=targets,
        nr_xs_helpers=xshelpernr,
        first_core=firstcore,
        name=group,
        socket_dir=Path(socket_dir) if socket_dir else None,
        insecure=insecure,
        embedded_engine=embedded_engine,
    )


@daos_server.group(cls=_Group, invoke_without_command=True)
def config() -> None:
    """Work with the server's configuration (also: cfg)."""
    _need_command()


@config.command()
@_CONFIG_OPTION
def check(config_file: str | None) -> None:
    """Tell all mistakes of a configuration file, and do nothing else."""
    from daos_control.config.problems import ConfigError

    path = _config_path(config_file)
    try:
        loaded = _load(path)
    except ConfigError as exc:
        if _flag("json"):
            _print_json({"file": str(path), "valid": False, "problems": _problems_json(exc)}, exc)
            raise _AlreadyPrinted from exc
        raise
    if _flag("json"):
        _print_json({"file": str(path), "valid": True, "notices": [str(notice) for notice in loaded.notices]})
        return
    click.echo(f"{path} is valid")
    for notice in loaded.notices:
        click.echo(f"  notice: {notice}")


@config.command(cls=_StartCommand)
@generate_options
@click.option("-l", "--helper-log-file", metavar="FILE", help="Accepted: the privileged helper is not needed.")
@click.option("--skip-prep", is_flag=True, help="Accepted: devices are found without preparing them.")
def generate(*, helper_log_file: str | None, skip_prep: bool, **given: Any) -> None:  # noqa: ARG001
    """Make a configuration for the hardware of this host (also: gen)."""
    from daos_control.cli import daos_server_config

    daos_server_config.run(**given)


def _problems_json(error: "ConfigError") -> list[dict[str, object]]:
    return [
        {
            "line": problem.line,
            "column": problem.column,
            "key": problem.key,
            "message": problem.message,
            "allowed": problem.allowed,
            "nearest": problem.nearest,
            "code": problem.code,
        }
        for problem in error.problems
    ]


@daos_server.group(cls=_Group, invoke_without_command=True)
def network() -> None:
    """Look at the network of this host."""
    _need_command()


@network.command()
@_CONFIG_OPTION
@_IGNORE_OPTION
@click.option("-p", "--provider", metavar="NAME", help='Fabric provider, or "all"; by default the configured one.')
def scan(*, config_file: str | None, ignore_config: bool, provider: str | None) -> None:
    """List the network interfaces that a fabric provider can use."""
    from daos_control.cli import daos_server_network as fabric

    loaded = _config_if_any(config_file, ignore_config)
    wanted = provider or (loaded.provider if loaded else "")
    found = fabric.scan("" if wanted.lower() == "all" else wanted)
    if _flag("json"):
        _print_json(fabric.as_json(found))
    else:
        click.echo(fabric.as_text(found))


@daos_server.group(cls=_Group, invoke_without_command=True)
def scm() -> None:
    """Look at the persistent memory of this host, prepare it, or reset it."""
    _need_command()


def _scm_options(command: _F) -> _F:
    """What all commands of the group take."""
    options = (
        _CONFIG_OPTION,
        _IGNORE_OPTION,
        _HELPER_LOG,
        click.option("--socket", type=click.IntRange(min=0), help="Only the memory of this socket; default: all."),
    )
    for option in options:
        command = option(command)
    return command


_SCM_FORCE = click.option(
    "-f", "--force", is_flag=True, help="Do not ask, and remove also what is mounted or not DAOS's."
)


@scm.command("scan")
@_scm_options
def scm_scan(**given: Any) -> None:
    """List the namespaces of persistent memory, or the modules where there are none."""
    from daos_control.cli import daos_server_scm as pmem

    found = pmem.scan(_scm_host(**given))
    if _flag("json"):
        _print_json(pmem.scan_json(found))
    else:
        click.echo(pmem.scan_text(found), nl=False)


@scm.command("prepare")
@_scm_options
@click.option(
    "-S", "--scm-ns-per-socket", type=click.IntRange(min=0), default=1, help="Namespaces for each socket."
)
@_SCM_FORCE
def scm_prepare(*, scm_ns_per_socket: int, force: bool, **given: Any) -> None:
    """Prepare persistent memory for DAOS: its regions first, and after a reboot its namespaces."""
    from daos_control.cli import daos_server_scm as pmem

    found = pmem.prepare(_scm_host(**given), namespaces=scm_ns_per_socket, force=force)
    if _flag("json"):
        _print_json(pmem.namespaces_json(found))
    elif found:
        click.echo(pmem.namespaces_text(found), nl=False)


@scm.command("reset")
@_scm_options
@_SCM_FORCE
def scm_reset(*, force: bool, **given: Any) -> None:
    """Remove the namespaces and regions of persistent memory."""
    from daos_control.cli import daos_server_scm as pmem

    pmem.reset(_scm_host(**given), force=force)
    if _flag("json"):
        _print_json(None)


def _scm_host(
    *, config_file: str | None, ignore_config: bool, helper_log_file: str | None, socket: int | None
) -> "Host":
    from daos_control.cli.daos_server_scm import Host

    return Host(_config_if_any(config_file, ignore_config), socket, _flag("json"), helper_log_file)


@daos_server.command("dump-topology")
@click.option("-o", "--output", metavar="FILE", default="stdout", help="Where to write it; with -j it is printed.")
def dump_topology(*, output: str) -> None:
    """Show NUMA nodes, their cores and PCI buses, and the devices on them."""
    from daos_control.cli import daos_server_topology as hardware

    if _flag("json"):
        _print_json(hardware.as_json(hardware.look()))
    else:
        hardware.write(output)


@daos_server.group(cls=_Group, invoke_without_command=True)
def nvme() -> None:
    """Look at the NVMe devices of this host, prepare them for DAOS, or give them back."""
    _need_command()


def _nvme_options(command: _F) -> _F:
    """What all commands of the group take."""
    for option in (_CONFIG_OPTION, _IGNORE_OPTION, _HELPER_LOG):
        command = option(command)
    return command


def _nvme_choice(command: _F) -> _F:
    """Which devices are meant, and for whom."""
    options = (
        click.argument("pci_allow_list", required=False, default=""),
        click.option("--pci-block-list", metavar="LIST", default="", help="Devices to leave alone, with commas."),
        click.option("-u", "--target-user", metavar="USER", default="", help="Who is to use the devices."),
        click.option("--disable-vfio", is_flag=True, help="Use the UIO driver, which needs root."),
    )
    for option in options:
        command = option(command)
    return command


@nvme.command("scan")
@_nvme_options
@click.option("--disable-vmd", is_flag=True, help="Do not look behind volume management devices.")
@click.option("--skip-prep", is_flag=True, help="Look only at devices that are prepared already.")
def nvme_scan(*, disable_vmd: bool, skip_prep: bool, **given: Any) -> None:
    """List NVMe devices, which are prepared for it and given back afterwards."""
    from daos_control.cli import daos_server_nvme as devices

    found = devices.scan(_nvme_site(**given), disable_vmd=disable_vmd, skip_prep=skip_prep)
    if _flag("json"):
        _print_json(devices.as_json(found))
    else:
        click.echo(devices.as_text(found), nl=False)


@nvme.command("prepare")
@_nvme_options
@_nvme_choice
@click.option(
    "-p", "--hugepages", type=click.IntRange(0, 2**31 - 1), default=0, help="Huge pages; at least 128 are made."
)
def nvme_prepare(*, hugepages: int, **given: Any) -> None:
    """Bind NVMe devices for use by DAOS: those of PCI_ALLOW_LIST (with commas), by default all."""
    from daos_control.cli import daos_server_nvme as devices

    choice = devices.Wanted(*(given.pop(name) for name in devices.CHOICE))
    devices.prepare(_nvme_site(**given), choice, pages=hugepages)
    if _flag("json"):
        _print_json(None)


@nvme.command("reset")
@_nvme_options
@_nvme_choice
def nvme_reset(**given: Any) -> None:
    """Give NVMe devices back to the kernel: those of PCI_ALLOW_LIST (with commas), by default all."""
    from daos_control.cli import daos_server_nvme as devices

    choice = devices.Wanted(*(given.pop(name) for name in devices.CHOICE))
    devices.reset(_nvme_site(**given), choice)
    if _flag("json"):
        _print_json(None)


def _nvme_site(*, config_file: str | None, ignore_config: bool, helper_log_file: str | None) -> "Site":
    from daos_control.cli.daos_server_nvme import Site

    return Site(_config_if_any(config_file, ignore_config), _flag("json"), helper_log_file)


@daos_server.command()
def version() -> None:
    """Print the version."""
    if _flag("json"):
        info = {
            "name": NAME,
            "version": DAOS_VERSION,
            "release": True,
            "build_info": f"daos-control {PRODUCT_VERSION}",
        }
        _print_json(info)
    else:
        click.echo(f"{NAME} version {DAOS_VERSION}")


def _config_if_any(config_file: str | None, ignore_config: bool) -> "ServerConfig | None":
    """The configuration, for commands that can do without one."""
    path = None if ignore_config else _optional_config_path(config_file)
    if path is None:
        return None
    loaded = _load(path)
    if not _flag("json"):
        click.echo(f"DAOS Server config loaded from {path}")
    return loaded


def _optional_config_path(given: str | None) -> Path | None:
    from daos_control.config import search

    return Path(given) if given else search.find(search.SERVER_FILE)


def _config_path(given: str | None) -> Path:
    from daos_control.config import search
    from daos_control.faults import serverconfig

    path = _optional_config_path(given)
    if path is None:
        tried = tuple(str(candidate) for candidate in search.candidates(search.SERVER_FILE))
        raise serverconfig.no_config_path(tried)
    return path


def _load(path: Path, overrides: "Overrides | None" = None) -> "ServerConfig":
    from daos_control.config import server

    return server.load(path, overrides)


class _AlreadyPrinted(Exception):
    """The error was told as part of the result."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 where it went well, 1 with the error on the standard error output otherwise."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = daos_server.main(words, prog_name="daos_server", standalone_mode=False)
    except _AlreadyPrinted:
        sys.exit(1)
    except click.ClickException as exc:
        _fail(ControlError(exc.format_message()), words)
    except click.Abort:
        sys.exit(1)
    except (Fault, ControlError, DaosError, NotLeaderError, NotReplicaError, OSError) as exc:
        _fail(exc, words)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(error: Exception, words: list[str]) -> NoReturn:
    if "-j" in words or "--json" in words:
        _print_json(None, error)
    _print_error(error)
    sys.exit(1)


if __name__ == "__main__":
    main()
