"""`daos_server start`: from a configuration to a process that serves until it is told to stop."""

import asyncio
import logging
import os
import signal as signals
from pathlib import Path

from daos_control.config.models import ServerConfig
from daos_control.config.options import StartOptions
from daos_control.config.server import save_active
from daos_control.network.interfaces import State, state_of
from daos_control.network.link_state import wait_ready
from daos_control.server import logs, preflight, systemd
from daos_control.server.instance import KILL
from daos_control.server.service import Service
from daos_control.server.socket_directory import SocketDirectory

log = logging.getLogger(__name__)

_SYSTEM_PROGRAMS = ("/sbin", "/usr/sbin")  # where mkfs and its like are, and not on every PATH
_CORE_FILTER = Path("/proc/self/coredump_filter")


def main(config: ServerConfig, options: StartOptions) -> int:
    """Run the server; 0 after an orderly stop (SIGTERM, SIGINT, SIGQUIT; a second one kills the engines).

    Raises the Fault of what kept it from starting or ended it; that is in the server's log as well.
    """
    logs.configure(
        mask="DEBUG" if options.debug else config.control_log_mask,
        file=config.control_log_file,
        as_json=options.json_logging or config.control_log_json,
    )
    try:
        asyncio.run(_run(config, options))
    except BaseExceptionGroup as group:
        error = first_error(group)
        log.critical("%s", error, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)
        raise error from None
    except Exception as error:
        log.critical("%s", error)
        raise
    return 0


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one that says most: what brought the others about stands first."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(config: ServerConfig, options: StartOptions) -> None:
    for notice in config.notices:
        log.warning("%s", notice)
    sockets = SocketDirectory.take(config.socket_dir)
    try:
        _set_up_process(config)
        await _await_fabric(config)
        prepared = preflight.prepare(config, os.environ)
        _save_active(prepared.config)
        service = Service(prepared, options, sockets)
        await _serve(service)
    finally:
        sockets.close()


async def _await_fabric(config: ServerConfig) -> None:
    """Interfaces that come up late, as InfiniBand's do after a boot, are waited for as long as it takes."""
    if config.daos_control.embedded_engine:
        return
    names = (engine.fabric_iface for engine in config.engines)
    late = [name for name in names if state_of(name) is State.NOT_READY]
    await wait_ready(late, state_of)


async def _serve(service: Service) -> None:
    loop = asyncio.get_running_loop()
    stop, started = asyncio.Event(), loop.create_future()
    hurry: list[asyncio.Task[None]] = []

    def on_signal(number: signals.Signals) -> None:
        log.debug("caught %s", number.name)
        if not stop.is_set():
            systemd.notify("STOPPING=1")
            stop.set()
        elif not hurry:
            log.info("told again to stop: killing the engines")
            hurry.append(loop.create_task(service.kill_engines(KILL)))

    for number in (signals.SIGINT, signals.SIGQUIT, signals.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    started.add_done_callback(_tell_started)
    try:
        await service.run(stop, started)
    finally:
        started.cancel()
        await asyncio.gather(*hurry, return_exceptions=True)
    log.info("daos_server stopped")


def _tell_started(started: asyncio.Future[None]) -> None:
    if not started.cancelled():
        systemd.notify("READY=1")


def _set_up_process(config: ServerConfig) -> None:
    path = os.environ.get("PATH", "").split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*filter(None, path), *(p for p in _SYSTEM_PROGRAMS if p not in path)])
    if config.helper_log_file is not None:
        os.environ["DAOS_HELPER_LOG_FILE"] = str(config.helper_log_file)
    if config.firmware_helper_log_file is not None:
        os.environ["DAOS_FIRMWARE_LOG_FILE"] = str(config.firmware_helper_log_file)
    if config.core_dump_filter:
        try:
            _CORE_FILTER.write_text(f"{config.core_dump_filter:#x}\n", encoding="ascii")
        except OSError as error:  # not writable for processes started in some ways
            log.debug("the core dump filter was not set: %s", error)
    for index, engine in enumerate(config.engines):
        if engine.log_file is None:
            log.error("engine %d has no log_file: what it logs goes to this log", index)


def _save_active(config: ServerConfig) -> None:
    try:
        log.debug("active configuration saved to %s", save_active(config))
    except OSError as error:
        log.debug("the active configuration was not saved: %s", error)
