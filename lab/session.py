"""One run of the machine: started, watched, and always ended."""

import contextlib
import ctypes
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import images, qemu
from lab.errors import LabError
from lab.images import Images
from lab.qemu import Machine

_PR_SET_PDEATHSIG = 1
_CONSOLE_LINES = 30
_NICE = 10  # the machine keeps a core or two busy; whoever else works on this host goes first


@dataclass(frozen=True, slots=True)
class Request:
    """What the machine is to do: run pytest with these arguments, or give a shell."""

    pytest: tuple[str, ...] = ()
    shell: bool = False
    accelerator: str = "tcg"
    limit_s: float = 600.0

    def text(self) -> str:
        """As the machine's first program reads it: a piece of shell."""
        fixed = ("-c", "/lab/project/pyproject.toml", "--rootdir", "/lab/project", "-p", "no:cacheprovider")
        arguments = shlex.join((*fixed, *self.pytest))
        return f"LAB_SHELL={int(self.shell)}\nLAB_PYTEST={shlex.quote(arguments)}\n"


def run(state: Path, prepared: Images, request: Request, *, keep: bool = False) -> int:
    """Run the machine once; pytest's exit code. With `keep`, its directory stays and is told of.

    Raises LabError where the machine came to no result, or took longer than the limit.
    """
    with _run_directory(state, keep=keep) as directory:
        machine = Machine(prepared, directory, request.accelerator, request.shell)
        images.make_project(machine.project, request.text())
        started = time.monotonic()
        complaint = _drive(qemu.command(machine), machine, request)
        taken = time.monotonic() - started
        if request.shell:
            return 0
        code = _result(machine.result)
        if code is None:
            raise LabError(_explain(machine, complaint))
        sys.stderr.write(f"lab: {taken:.0f} s in the machine\n")
        return code


def _drive(command: Sequence[str], machine: Machine, request: Request) -> str:
    """Run QEMU to its end; what it complained of. Its standard output is passed on as it comes."""
    with (machine.directory / "qemu.log").open("w+b") as errors:
        process = subprocess.Popen(
            command,
            # Held open: at the end of its input QEMU closes its output too, and who writes in the machine waits.
            stdin=None if request.shell else subprocess.PIPE,
            stderr=errors,
            cwd=machine.directory,
            env=os.environ | {"TMPDIR": os.fspath(machine.directory)},
            preexec_fn=_die_with_parent,
        )
        late = threading.Event()

        def expire() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(request.limit_s, expire)
        if not request.shell:
            timer.start()
        try:
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
        errors.seek(0)
        complaint = errors.read().decode(errors="replace").strip()
    if late.is_set():
        return f"the machine was ended after {request.limit_s:g} s, its time limit\n{complaint}".strip()
    return complaint


def _die_with_parent() -> None:
    """In QEMU's process: be killed when the lab is, in whatever way; give way to others."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICE)


def _result(path: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        word, _, number = path.read_text(encoding="ascii", errors="replace").strip().partition(" ")
        if word == "exit" and number.isdigit():
            return int(number)
    return None


def _explain(machine: Machine, complaint: str) -> str:
    lines = [complaint] if complaint else []
    with contextlib.suppress(FileNotFoundError):
        console = machine.console.read_text(encoding="utf-8", errors="replace").splitlines()
        lines += ["its console ended with:", *(f"    {line}" for line in console[-_CONSOLE_LINES:])]
    return "\n".join(["the machine ended without a result", *lines])


@contextmanager
def _run_directory(state: Path, *, keep: bool) -> Iterator[Path]:
    """A directory for one run. Its lock is held while the run lives: directories of runs that were killed go."""
    with images.locked(state):
        for old in state.glob("run-*"):
            _remove_abandoned(old)
        directory = Path(tempfile.mkdtemp(prefix="run-", dir=state))
        lock = (directory / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield directory
        finally:
            if keep:
                (directory / "kept").touch()
                sys.stderr.write(f"lab: kept {directory}\n")
            else:
                shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(directory: Path) -> None:
    if (directory / "kept").exists():
        return
    with contextlib.suppress(OSError), (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory)
