"""`daos_server scm`: persistent memory of this host, without a running server.

Tables and JSON are those of DAOS, byte for byte; the other texts are ours.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from daos_control.faults import ControlError
from daos_control.faults import storage as faults
from daos_control.network.interfaces import interfaces
from daos_control.server.helper import helper_client
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.pmem.messages import ScmPrepareReply, ScmScanReply
from daos_control.storage.pmem.model import Module, Namespace, State
from daos_control.storage.pmem.operations import Pmem

if TYPE_CHECKING:
    from daos_control.client.storage_types import ScmModule, ScmNamespace
    from daos_control.config.models import EngineConfig, ServerConfig

T = TypeVar("T")

_SERVER_PROGRAMS: Final = frozenset({"daos_server", "daos_control.cli.daos_server"})
_WARNING = (
    "Memory allocation goals of the persistent memory are changed and namespaces are made or removed; what is on "
    "namespaces that are removed is lost. Nothing may use the memory meanwhile. This can take several minutes, and "
    "a reboot may be needed afterwards.\n"
)
_QUESTION = "Are you sure you want to continue? (yes/no)"
_REBOOT = "Reboot this host for the new memory allocation goals to take effect."
_AT_REBOOT = {
    State.FREE_CAPACITY: "The interleaved regions are made anew at the next reboot.",
    State.NO_FREE_CAPACITY: "The namespaces are removed; the regions are made anew at the next reboot.",
    State.PARTIAL_FREE: "The namespaces are removed; the regions are made anew at the next reboot.",
    State.NOT_INTERLEAVED: "The regions that are not interleaved are replaced at the next reboot.",
    State.NOT_HEALTHY: "The namespaces are removed; the regions, unhealthy ones among them, are made anew at the "
    "next reboot.",
    State.UNKNOWN_MODE: "The namespaces are removed; the regions, of another mode among them, are made anew at the "
    "next reboot.",
}


@dataclass(frozen=True, slots=True)
class Host:
    """What all commands are given. `socket` is that of the command line; `say` prints, or not with JSON."""

    config: "ServerConfig | None"
    socket: int | None
    json: bool
    log_file: str | None = None

    def say(self, text: str) -> None:
        if not self.json:
            click.echo(text)

    @property
    def chosen_socket(self) -> int | None:
        """The socket to work on: the one asked for, else the only one with persistent memory in the configuration;
        None for all."""
        if self.socket is not None or self.config is None:
            return self.socket
        return only_socket(self.config.engines)

    def run(self, work: Callable[[Pmem], Coroutine[Any, Any, T]]) -> T:
        """Do something with the helper of this installation. Its log goes to the file asked for, else nowhere."""
        log = logging.getLogger("daos_control")
        handler = logging.FileHandler(self.log_file) if self.log_file else logging.NullHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        return asyncio.run(_with_helper(helper_client(self.config), work))


async def _with_helper(helper: HelperClient, work: Callable[[Pmem], Coroutine[Any, Any, T]]) -> T:
    await helper.check()
    return await work(Pmem(helper))


def scan(host: Host) -> ScmScanReply:
    """Look at modules and namespaces."""
    host.say("Scanning locally-attached PMem storage...")
    return host.run(lambda pmem: pmem.scan(socket=host.chosen_socket, in_config=True))


def prepare(host: Host, *, namespaces: int, force: bool) -> tuple[Namespace, ...]:
    """Make regions or namespaces; the namespaces, or none where a reboot comes first. May raise ControlError."""
    if namespaces < 1:
        raise ControlError("(-S|--scm-ns-per-socket) should be set to at least 1")
    host.say("Prepare locally-attached PMem...")
    _confirm(host, force=force)
    reply = host.run(lambda p: p.prepare(socket=host.chosen_socket, namespaces=namespaces, force=force))
    if _state(reply) is State.NO_MODULES:
        raise faults.scm_no_pmem()
    if reply.reboot_required:
        host.say(f"The regions are made, in interleaved AppDirect mode, at the next reboot. {_REBOOT}")
    return reply.namespaces


def reset(host: Host, *, force: bool) -> None:
    """Remove namespaces and regions. Raises Fault or ControlError."""
    host.say("Reset locally-attached PMem...")
    _confirm(host, force=force)
    reply = host.run(lambda p: p.reset(socket=host.chosen_socket, force=force))
    if _state(reply) is State.NO_MODULES:
        raise faults.scm_no_pmem()
    if reply.reboot_required:
        host.say(f"{_AT_REBOOT.get(_state(reply), _AT_REBOOT[State.UNKNOWN_MODE])} {_REBOOT}")
    else:
        host.say("PMem has been reset successfully!")


def _state(reply: ScmPrepareReply) -> State:
    return State(reply.socket.state)


def _confirm(host: Host, *, force: bool) -> None:
    """Raises ControlError where another server runs, or nobody says yes."""
    if pid := running_server():
        raise ControlError(f"another daos_server process is already running (pid: {pid})")
    host.say(_WARNING)
    if force:
        return
    if host.json:
        raise ControlError("JSON output only supported with force option")
    click.echo(_QUESTION)
    while (answer := sys.stdin.readline()) not in ("yes\n", "yes"):
        if answer.strip() == "no" or not answer:
            raise ControlError("consent not given")
        click.echo("Please type yes or no and then press enter:")


def running_server(proc: Path = Path("/proc")) -> int | None:
    """The process id of a `daos_server start` on this host."""
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended
            continue
        for program, argument in pairwise(words):
            if Path(program).name in _SERVER_PROGRAMS and argument == "start":
                return int(directory.name)
    return None


def only_socket(engines: "Sequence[EngineConfig]") -> int | None:
    """The socket of the engines with persistent memory, where they all have the same; None otherwise."""
    nodes = {_numa_node(engine) for engine in engines if any(tier.class_ == "dcpm" for tier in engine.storage)}
    return nodes.pop() if len(nodes) == 1 else None


def _numa_node(engine: "EngineConfig") -> int:
    if engine.pinned_numa_node is not None:
        return engine.pinned_numa_node
    return next((i.numa_node for i in interfaces() if i.name == engine.fabric_iface), 0)


def scan_text(found: ScmScanReply) -> str:
    """A table of namespaces, else of modules."""
    from daos_control.cli import print_storage

    if found.namespaces:
        return print_storage.scm_namespaces(_namespaces(found.namespaces))
    return print_storage.scm_modules(_modules(found.modules))


def namespaces_text(found: Iterable[Namespace]) -> str:
    """A table, ending in an empty line."""
    from daos_control.cli import print_storage

    return print_storage.scm_namespaces(_namespaces(found)) + "\n"


def scan_json(found: ScmScanReply) -> object:
    """The body of DAOS's JSON: a list of namespaces, else of modules."""
    from daos_control.cli import gojson

    return gojson.encode(_namespaces(found.namespaces) or _modules(found.modules))


def namespaces_json(found: Iterable[Namespace]) -> object:
    """The body of DAOS's JSON: a list; null where there are none."""
    from daos_control.cli import gojson

    return gojson.encode(_namespaces(found)) or None


def _modules(found: Iterable[Module]) -> "list[ScmModule]":
    from daos_control.client.storage_types import ScmModule

    return [
        ScmModule(
            m.channel_id,
            m.channel_position,
            m.controller_id,
            m.socket_id,
            m.physical_id,
            m.capacity,
            m.uid,
            m.part_number,
            m.firmware_revision,
            m.health_state,
        )
        for m in found
    ]


def _namespaces(found: Iterable[Namespace]) -> "list[ScmNamespace]":
    from daos_control.client.storage_types import ScmNamespace

    return [ScmNamespace(n.uuid, n.block_device, n.name, n.numa_node, n.size) for n in found]
