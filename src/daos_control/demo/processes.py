"""Processes that outlive the command that started them: recorded, found again, proven ours, ended."""

import json
import os
import select
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Process:
    """A pid with its start time, which no other process of that pid can share."""

    pid: int
    started: int

    @classmethod
    def start(cls, command: list[str], *, log: Path, environment: dict[str, str]) -> Self:
        """Start `command` in a session of its own, its output appended to `log`."""
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        started = _start_time(child.pid)
        return cls(child.pid, started if started is not None else 0)

    @property
    def is_running(self) -> bool:
        return _start_time(self.pid) == self.started and _state(self.pid) != "Z"

    def stop(self, *, seconds_max: float) -> None:
        """Ask it to end, and kill it when it has not after `seconds_max`."""
        for number, wait in ((signal.SIGTERM, seconds_max), (signal.SIGKILL, 10.0)):
            try:
                descriptor = os.pidfd_open(self.pid)
            except ProcessLookupError:
                return
            try:
                if not self.is_running:
                    return
                signal.pidfd_send_signal(descriptor, number)
                poller = select.poll()
                poller.register(descriptor, select.POLLIN)
                if poller.poll(wait * 1000):
                    return
            except ProcessLookupError:
                return
            finally:
                os.close(descriptor)


class ProcessTable:
    """The processes of a demo, on file, so that another command can find and end them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._processes: dict[str, Process] = {}
        try:
            recorded = json.loads(path.read_text())
            self._processes = {name: Process(int(p["pid"]), int(p["started"])) for name, p in recorded.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._processes = {}

    def add(self, name: str, process: Process) -> None:
        self._processes[name] = process
        self._save()

    def running(self) -> dict[str, Process]:
        return {name: process for name, process in self._processes.items() if process.is_running}

    def stop_all(self, *, seconds_max: float) -> None:
        deadline = time.monotonic() + seconds_max
        for process in self._processes.values():
            process.stop(seconds_max=max(0.1, deadline - time.monotonic()))
        self._processes.clear()
        self._save()

    def _save(self) -> None:
        if not self._path.parent.is_dir():
            return
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({name: asdict(process) for name, process in self._processes.items()}))
        draft.replace(self._path)


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name, in parentheses, may hold anything


def _state(pid: int) -> str | None:
    fields = _stat_fields(pid)
    return None if fields is None else fields[0]


def _start_time(pid: int) -> int | None:
    fields = _stat_fields(pid)
    return None if fields is None else int(fields[19])
