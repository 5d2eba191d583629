"""What stands between daos_server and an engine: a program that sets up the process, then becomes the engine.

Run as `python -I -S launcher.py PARENT_PID PROGRAM [ARGUMENT...]` with the engine's exact environment; imports the
standard library only. It exists so that nothing of this runs between fork and exec of the server, where other
threads may hold locks.

- The engine dies with the server: the kernel sends it SIGKILL when the server's main thread ends.
- It runs as the server's real user and group: the group of a set-group-id server is dropped.
- Its soft limits on open files and on locked memory are raised to the hard ones.
- It starts with default signal handling, not with what Python sets up for itself.
"""

import ctypes
import os
import resource
import signal
import sys

CANNOT_START = 127  # exit status, as of a shell

_PR_SET_PDEATHSIG = 1


def _tie_to_parent(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before we asked to be told
        os._exit(CANNOT_START)


def _drop_set_ids() -> None:
    if os.getegid() != os.getgid():
        os.setresgid(os.getgid(), os.getgid(), os.getgid())
    if os.geteuid() != os.getuid():
        os.setresuid(os.getuid(), os.getuid(), os.getuid())


def _raise_limits() -> None:
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_MEMLOCK):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (hard, hard))


def _restore_signals() -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _environment() -> dict[bytes, bytes]:
    """As the server gave it: os.environ has what Python added for itself (LC_CTYPE)."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - pathlib would triple the start-up time
        pairs = [entry.partition(b"=") for entry in file.read().split(b"\0")]
    return {name: value for name, equals, value in pairs if name and equals}


def main(arguments: list[str]) -> None:
    parent, program = int(arguments[0]), arguments[1]
    try:
        _drop_set_ids()  # before the death signal: changing ids clears it
        _tie_to_parent(parent)
        _raise_limits()
        environment = _environment()
        _restore_signals()
        os.execve(program, arguments[1:], environment)
    except OSError as error:
        os.write(2, f"cannot start {program}: {error}\n".encode())
    os._exit(CANNOT_START)


if __name__ == "__main__":
    main(sys.argv[1:])
