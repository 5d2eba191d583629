"""A mount namespace for the demo, so that its RAM disks vanish with its last process, however that ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_INSIDE = "DAOS_CONTROL_DEMO_INSIDE"


class NamespaceError(Exception):
    """This machine does not let us have a namespace; the text says what would help."""


def enter(arguments: list[str]) -> None:
    """Return inside a private mount namespace: the first call replaces this process by `unshare` and itself.

    Root needs nothing more; other users get a user namespace in which they are root.
    """
    if os.environ.get(_INSIDE) == "1":
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        raise NamespaceError("the program 'unshare' is missing; on Debian: apt-get install util-linux")
    options = ["--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        options += ["--user", "--map-root-user"]
    probe = subprocess.run([unshare, *options, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        raise NamespaceError(
            f"no namespace of our own can be made here ({probe.stderr.strip()}); run the demo as root, or let "
            "users have namespaces: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000 "
            "kernel.apparmor_restrict_unprivileged_userns=0 (those that this kernel knows)"
        )
    command = [unshare, *options, sys.executable, "-m", "daos_control.demo", *arguments]
    os.execve(unshare, command, os.environ | {_INSIDE: "1"})


def unmount_below(directory: Path) -> None:
    """Unmount what is mounted below `directory` in this namespace, so that the directory can be removed."""
    prefix = f"{directory}/"
    with Path("/proc/self/mountinfo").open() as file:
        points = [_unescape(line.split()[4]) for line in file]
    for point in sorted((p for p in points if p.startswith(prefix)), reverse=True):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def _unescape(field: str) -> str:
    """mountinfo writes blanks and backslashes as octal escapes."""
    for escaped, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escaped, character)
    return field
