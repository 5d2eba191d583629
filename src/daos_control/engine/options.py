"""Command line and environment of the engine: those of `daos_engine`, so that a server starts either alike."""

import getopt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daos_control.engine.errors import StartError

SYSTEM_NAME_BYTES_MAX = 15
TARGETS_MAX = 1024

_SHORT = "c:d:f:g:hi:m:n:p:r:H:t:s:x:I:bT:C"
_LONG = {
    "cores=": "-c",
    "socket_dir=": "-d",
    "firstcore=": "-f",
    "group=": "-g",
    "help": "-h",
    "modules=": "-m",
    "nvme=": "-n",
    "pinned_numa_node=": "-p",
    "mem_size=": "-r",
    "hugepage_size=": "-H",
    "targets=": "-t",
    "storage=": "-s",
    "xshelpernr=": "-x",
    "instance_idx=": "-I",
    "bypass_health_chk": "-b",
    "storage_tiers=": "-T",
    "check": "-C",
}

USAGE = """\
usage: daos_engine_embedded [options]

  -s, --storage DIR         storage directory (default /mnt/daos)
  -d, --socket_dir DIR      directory of the dRPC sockets (default /var/run/daos_server)
  -g, --group NAME          system name (default daos_server)
  -t, --targets N           targets (default: one per processor); -c, --cores is an old name of it
  -x, --xshelpernr N        helper streams; counted in the fabric contexts only
  -n, --nvme FILE           SPDK configuration file with the block devices (class file or kdev)
  -T, --storage_tiers N     storage tiers, 1 to 4
  -I, --instance_idx N      index of this engine on its server
  -C, --check               check mode
  -h, --help                this text

Taken for the sake of daos_engine's command line, without effect here:
  -f, --firstcore N   -p, --pinned_numa_node N   -r, --mem_size MIB   -H, --hugepage_size MIB
  -m, --modules LIST  -b, --bypass_health_chk

Environment: D_PROVIDER, D_INTERFACE, D_PORT, D_LOG_FILE, D_LOG_MASK, DAOS_EMBEDDED_SWIM_PERIOD_MS (1000),
DAOS_EMBEDDED_SWIM_SUSPECT_MS (3000), DAOS_EMBEDDED_SWIM_DEAD_MS (8000), DAOS_EMBEDDED_SWIM_WATCH (5),
DAOS_EMBEDDED_NOTIFY_MS (30000).
"""


@dataclass(frozen=True, slots=True)
class SwimSettings:
    """How peers are watched. Times in seconds, since the peer was last heard of.

    `watch` is how many peers one engine pings: the next ones in the ring of ranks.
    """

    period: float = 1.0
    suspect_after: float = 3.0
    dead_after: float = 8.0
    watch: int = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What one start of the engine was asked for. `port` 0 lets the system choose one."""

    storage: Path
    socket_dir: Path
    group: str
    targets: int
    helpers: int
    instance: int
    nvme_config: Path | None
    check_mode: bool
    provider: str
    interface: str
    port: int
    log_file: Path | None
    log_mask: str
    swim: SwimSettings
    notify_seconds: float

    @property
    def fabric_contexts(self) -> int:
        """As daos_engine counts them: two of the system, one for each target and helper."""
        return 2 + self.targets + self.helpers


class UsageRequested(Exception):
    """`--help` was given."""


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Raises StartError for what cannot be understood, UsageRequested for --help."""
    try:
        pairs, stray = getopt.gnu_getopt(list(arguments), _SHORT, list(_LONG))
    except getopt.GetoptError as error:
        raise StartError(f"{error.msg} (see --help)") from error
    if stray:
        raise StartError(f"unexpected argument {stray[0]!r} (see --help)")
    by_long = {"--" + name.rstrip("="): short for name, short in _LONG.items()}
    given: dict[str, str] = {}
    for flag, value in pairs:
        given[by_long.get(flag, flag)] = value
    if "-h" in given:
        raise UsageRequested
    if "-i" in given:
        raise StartError("option -i is not in use (see --help)")
    return _options(given, environment)


def _options(given: Mapping[str, str], environment: Mapping[str, str]) -> Options:
    for flag in ("-f", "-p", "-r", "-H"):
        _number(given, flag, 0)
    _number(given, "-T", 1, low=1, high=4)
    group = given.get("-g", "daos_server")
    if len(group.encode()) > SYSTEM_NAME_BYTES_MAX:
        raise StartError(f"system name {group!r} has more than {SYSTEM_NAME_BYTES_MAX} bytes")
    cores = _number(given, "-c", os.cpu_count() or 1, low=1, high=TARGETS_MAX)
    interface = environment.get("D_INTERFACE", "")
    if not interface or "," in interface:
        raise StartError(f"D_INTERFACE must name one network interface, it is {interface!r}")
    return Options(
        storage=Path(given.get("-s", "/mnt/daos")),
        socket_dir=Path(given.get("-d", "/var/run/daos_server")),
        group=group,
        targets=_number(given, "-t", cores, low=1, high=TARGETS_MAX),
        helpers=_number(given, "-x", 0, high=TARGETS_MAX),
        instance=_number(given, "-I", 0),
        nvme_config=Path(given["-n"]) if given.get("-n") else None,
        check_mode="-C" in given,
        provider=environment.get("D_PROVIDER") or "ofi+tcp",
        interface=interface,
        port=_number(environment, "D_PORT", 0, high=65535),
        log_file=Path(environment["D_LOG_FILE"]) if environment.get("D_LOG_FILE") else None,
        log_mask=environment.get("D_LOG_MASK", ""),
        swim=_swim(environment),
        notify_seconds=_milliseconds(environment, "DAOS_EMBEDDED_NOTIFY_MS", 30_000),
    )


def _swim(environment: Mapping[str, str]) -> SwimSettings:
    settings = SwimSettings(
        period=_milliseconds(environment, "DAOS_EMBEDDED_SWIM_PERIOD_MS", 1000),
        suspect_after=_milliseconds(environment, "DAOS_EMBEDDED_SWIM_SUSPECT_MS", 3000),
        dead_after=_milliseconds(environment, "DAOS_EMBEDDED_SWIM_DEAD_MS", 8000),
        watch=_number(environment, "DAOS_EMBEDDED_SWIM_WATCH", 5, low=1, high=64),
    )
    if not settings.period <= settings.suspect_after < settings.dead_after:
        raise StartError("DAOS_EMBEDDED_SWIM_*_MS must grow: PERIOD, SUSPECT, DEAD")
    return settings


def _milliseconds(environment: Mapping[str, str], name: str, default: int) -> float:
    return _number(environment, name, default, low=1, high=86_400_000) / 1000


def _number(values: Mapping[str, str], name: str, default: int, *, low: int = 0, high: int = 1 << 62) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        limit = f"from {low} to {high}" if high < 1 << 62 else f"of at least {low}"
        raise StartError(f"{name} takes a number {limit}, not {text!r}")
    return int(text)
