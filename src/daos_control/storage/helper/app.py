"""The helper's process: read one request, check who asks, do it, answer, exit."""

import contextlib
import importlib
import os
import pwd
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daos_control.faults import Fault
from daos_control.faults import pbin as faults
from daos_control.storage.helper import bdev, locks, metadata, protocol, scm
from daos_control.storage.helper.protocol import METHODS, PingReply, Request
from daos_control.version import PRODUCT_VERSION

OWNER_FILE = Path("/etc/daos/daos_server_helper.owner")
OWNER_DEFAULT = "daos_server"
# Behind a socket of systemd, whoever connects and says nothing must not keep a process for ever.
REQUEST_SECONDS_MAX = 5

HANDLERS: dict[str, Callable[[Any], Any]] = {
    "Ping": lambda _: PingReply(PRODUCT_VERSION, protocol.HELPER_NAME),
    "ScmMount": scm.mount_scm,
    "ScmUnmount": scm.unmount_scm,
    "ScmFormat": scm.format_scm,
    "ScmCheckFormat": scm.check_format,
    "MetadataMount": metadata.mount_metadata,
    "MetadataUnmount": metadata.unmount_metadata,
    "MetadataFormat": metadata.format_metadata,
    "MetadataNeedsFormat": metadata.needs_format,
    "BdevFormat": bdev.format_tier,
}

# Methods whose modules are imported when one of them is asked for: starting is most of what the others take.
_NVME = "daos_control.storage.nvme.methods"
_PMEM = "daos_control.storage.pmem.handlers"
LATE_HANDLERS: dict[str, str] = {
    "BdevPrepare": _NVME,
    "BdevScan": _NVME,
    "NvmeFirmwareQuery": _NVME,
    "NvmeFirmwareUpdate": _NVME,
    "ScmScan": _PMEM,
    "ScmPrepare": _PMEM,
    "ScmFirmwareQuery": _PMEM,
    "ScmFirmwareUpdate": _PMEM,
}


def main() -> int:
    """Serve one request on stdin and stdout; 0 where it went well, 1 where the reply carries an error."""
    if len(sys.argv) > 1 or sys.stdin.isatty():
        sys.stderr.write(f"{protocol.HELPER_NAME} is run by daos_server: one request in JSON on standard input\n")
        return 2
    try:
        reply, code = _serve(), 0
    except Fault as fault:
        reply, code = protocol.encode_error(fault), 1
    except Exception as error:  # noqa: BLE001 whatever happens, the server gets an answer
        reply, code = protocol.encode_error(protocol.as_fault(error)), 1
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(reply)
        sys.stdout.buffer.flush()
    return code


def _serve() -> bytes:
    data = _read_request()
    _check_caller()
    if os.geteuid() != 0:
        raise faults.helper_not_privileged(protocol.HELPER_NAME)
    _import_handler(protocol.peek_method(data))
    method, request = protocol.decode_request(data)
    # The last resort against a hang: SIGALRM ends this process, and with it the program it runs.
    signal.alarm(METHODS[method].limit_s)
    _check_owner(request)
    with locks.held(request):
        return protocol.encode_reply(HANDLERS[method](request))


def _read_request() -> bytes:
    """All of it, also of one that is refused: a socket that is closed with something unread loses our answer."""
    signal.alarm(REQUEST_SECONDS_MAX)
    data = sys.stdin.buffer.read(protocol.MESSAGE_BYTES_MAX + 1)
    while sys.stdin.buffer.read(1 << 16):
        pass
    signal.alarm(0)
    return data


def _import_handler(method: str) -> None:
    if method in LATE_HANDLERS:
        HANDLERS.update(importlib.import_module(LATE_HANDLERS[method]).HANDLERS)


def caller() -> int:
    """The user id of who asks: the other end of a UNIX socket on stdin, else the user that sudo names, else our own
    real user. (sudo sets SUDO_UID itself; without sudo nobody but root gets this far.)"""
    if stat.S_ISSOCK(os.fstat(0).st_mode):
        with socket.socket(fileno=os.dup(0)) as peer:
            if peer.family == socket.AF_UNIX:
                data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                return int(struct.unpack("3i", data)[1])
    return int(os.environ.get("SUDO_UID", os.getuid()))


def owner() -> int | None:
    """The user, beside root, whom the helper serves: the one named in OWNER_FILE, which only root may write, else
    `daos_server`; None where there is no such user."""
    name = OWNER_DEFAULT
    with contextlib.suppress(OSError):
        status = OWNER_FILE.stat()
        if status.st_uid == 0 and not status.st_mode & 0o022:
            name = OWNER_FILE.read_text(encoding="utf-8").strip()
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _check_caller() -> None:
    uid = caller()
    if uid not in (0, owner()):
        raise faults.helper_refused(protocol.HELPER_NAME, uid)


def _check_owner(request: Request) -> None:
    """Whoever is not root gets storage for itself only."""
    uid = caller()
    if uid == 0:
        return
    user = getattr(request, "target_user", "")
    if getattr(request, "owner_uid", uid) != uid or (user and pwd.getpwuid(uid).pw_name != user):
        raise faults.helper_refused(protocol.HELPER_NAME, uid)
