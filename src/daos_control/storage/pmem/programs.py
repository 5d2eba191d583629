"""Running ipmctl and ndctl, as root; each ends with this process."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

from daos_control.faults import Fault
from daos_control.faults import pbin as pbin_faults
from daos_control.storage.helper.steps import search_path

NDCTL, IPMCTL = "ndctl", "ipmctl"

_OUTPUT_BYTES_MAX = 8 << 20
_NEEDED_FOR = {NDCTL: "persistent memory", IPMCTL: "managing Optane persistent memory"}


class ProgramError(Exception):
    """A program ended with an error. `output` is what it wrote on its standard output."""

    def __init__(self, command: Sequence[str], code: int, output: str, complaint: str) -> None:
        what = complaint.strip() or output.strip() or "no message"
        super().__init__(f"'{shlex.join(command)}' ended with {code}: {' '.join(what.split())[:400]}")
        self.output = output
        self.reason = " ".join(what.split())[:400]


def installed(name: str) -> bool:
    return shutil.which(name, path=search_path()) is not None


def run(command: Sequence[str]) -> str:
    """What a program writes on its standard output. Raises ProgramError, or Fault 1 where it is not installed."""
    path = search_path()
    if not installed(command[0]):
        raise missing(command[0])
    bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv", path=path) else []
    done = subprocess.run(
        [*bound, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | {"LC_ALL": "C", "PATH": path},
        check=False,
    )
    output = done.stdout[:_OUTPUT_BYTES_MAX].decode(errors="replace")
    if done.returncode != 0:
        raise ProgramError(command, done.returncode, output, done.stderr.decode(errors="replace"))
    return output


def change(command: Sequence[str]) -> str:
    """As `run`, for a command that changes something: it is told on stderr, which goes to the server's log."""
    sys.stderr.write(f"running {shlex.join(command)}\n")
    return run(command)


def missing(name: str) -> Fault:
    return pbin_faults.missing_software(name, _NEEDED_FOR.get(name, "persistent memory"), f"the package {name}")
