"""The steps of an operation that changes storage, one after the other, each of which may be where the power goes.

A step is safe to begin again from: an operation that was cut off anywhere is repeated from its first step.

For tests, the environment variable `DAOS_CONTROL_TEST_KILL_AT` names a place as `operation:step:when`, and this
process then kills itself there as with kill -9. `when` is before, after, or, for a step that runs a program,
during. It is looked at in this process only, which the server starts for one request.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KILL_AT = "DAOS_CONTROL_TEST_KILL_AT"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, and what it does."""

    name: str
    act: Callable[[], None]


def run(operation: str, steps: Sequence[Step]) -> None:
    """Do the steps in order; the first that raises ends it."""
    for step in steps:
        _kill_if_asked(operation, step.name, "before")
        step.act()
        _kill_if_asked(operation, step.name, "after")


def reached(operation: str, step: str, when: str) -> None:
    """For an operation that is not a list of `Step`s: say where it is."""
    _kill_if_asked(operation, step, when)


def run_program(command: Sequence[str], *, operation: str = "", step: str = "") -> str:
    """Run a program to its end and return what it wrote on stderr; raises OSError where it fails.

    It dies with this process, so that nothing goes on behind the server's back. `operation` and `step` say where we
    are; without them nobody may ask to be killed here.
    """
    path = search_path()
    if shutil.which(command[0], path=path) is None:
        raise FileNotFoundError(2, "it is not installed", command[0])
    # Part of util-linux, as mkfs and mount are.
    bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv", path=path) else []
    process = subprocess.Popen(
        [*bound, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"LC_ALL": "C", "PATH": path},
    )
    _kill_if_asked(operation, step, "during")
    _, complaint = process.communicate()
    text = complaint.decode(errors="replace").strip()
    if process.returncode != 0:
        raise OSError(5, f"{command[0]} ended with {process.returncode}: {text or 'no message'}")
    return text


def search_path() -> str:
    """PATH with the administrator's directories, which an ordinary user's lacks."""
    parts = [part for part in os.environ.get("PATH", "").split(":") if part]
    return ":".join(dict.fromkeys([*parts, "/usr/sbin", "/sbin", "/usr/bin", "/bin"]))


def _kill_if_asked(operation: str, step: str, when: str) -> None:
    if os.environ.get(KILL_AT) == f"{operation}:{step}:{when}":
        os.kill(os.getpid(), signal.SIGKILL)
