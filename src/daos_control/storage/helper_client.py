"""The server's side of the privileged helper: find a way to it, ask, wait no longer than the method's limit."""

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daos_control.faults import pbin as faults
from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import HELPER_NAME, METHODS, PingReply, ProtocolError, Request
from daos_control.storage.helper_transport import Answer, ProcessTransport, SocketTransport, Transport
from daos_control.version import PRODUCT_VERSION

log = logging.getLogger(__name__)

_GRACE_S = 2.0  # beyond the limit that the helper keeps by itself


class HelperClient:
    """Has one process serve each request; requests may run concurrently, each on its own storage.

    `socket` is where systemd listens for the helper (packaging/systemd); then nothing is started here. Otherwise
    `binary` is an explicit helper program; without one, root runs this installation's own module, and another user
    the installed program, through `sudo -n`. `limit_s` replaces the methods' own time limits.
    """

    def __init__(
        self, binary: Path | None = None, *, socket: Path | None = None, limit_s: float | None = None
    ) -> None:
        self._binary = binary
        self._socket = socket
        self._limit_s = limit_s

    @property
    def is_own(self) -> bool:
        """Whether it is this installation's own module that is run, so that it cannot be of another release."""
        return self._socket is None and self._binary is None and os.geteuid() == 0

    @property
    def command(self) -> Sequence[str]:
        """What is run where there is no socket. Raises Fault 4 where there is nothing to run."""
        privileged = os.geteuid() == 0
        if privileged and self._binary is None:
            return (sys.executable, "-I", "-m", "daos_control.cli.helper")
        program = os.fspath(self._binary) if self._binary else _installed()
        if privileged:
            return (program,)
        sudo = shutil.which("sudo")
        if sudo is None:
            raise faults.helper_not_available(program, "this user is not root, and sudo is not installed")
        return (sudo, "-n", "--", program)

    async def check(self) -> None:
        """See to it that the helper can be run and is of our release; Fault 3, 4 or 5 otherwise."""
        reply: PingReply = await self.call(Request())
        if reply.app_name != HELPER_NAME or reply.version != PRODUCT_VERSION:
            raise faults.helper_wrong_version(HELPER_NAME, reply.version, PRODUCT_VERSION)

    async def call(self, request: Request) -> Any:
        """The reply to a request, of the type that `protocol.METHODS` says.

        Raises the Fault that the helper answers; Fault 4 where it cannot be run; Fault 5 where it crashes, writes
        what is no reply, or takes longer than its limit. Cancelling kills it.
        """
        method = protocol.method_of(request)
        limit = self._limit_s if self._limit_s is not None else METHODS[method].limit_s + _GRACE_S
        transport = self._transport()
        try:
            async with asyncio.timeout(limit):
                answer = await transport.exchange(protocol.encode_request(request))
        except TimeoutError as error:
            raise faults.helper_request_failed(
                f"the privileged helper did not finish {method} within {limit:g} s",
                "The device may hang: see the kernel's log ('dmesg'). Then run the command again.",
            ) from error
        return _outcome(method, answer)

    def _transport(self) -> Transport:
        return SocketTransport(self._socket) if self._socket is not None else ProcessTransport(self.command)


def _installed() -> str:
    """The helper of this installation: on the path, or beside the program that runs."""
    beside = Path(sys.argv[0]).resolve().parent / HELPER_NAME
    found = shutil.which(HELPER_NAME) or (os.fspath(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise faults.helper_not_available(HELPER_NAME, "it is not on the path")
    return found


def _outcome(method: str, answer: Answer) -> Any:
    if answer.complaint:
        log.warning("%s: %s: %s", HELPER_NAME, method, answer.complaint)
    if not answer.output and answer.ending:
        if "sudo" in answer.complaint:
            raise faults.helper_not_available(HELPER_NAME, answer.complaint.splitlines()[-1])
        raise faults.helper_request_failed(f"the privileged helper {answer.ending} during {method}")
    try:
        return protocol.decode_reply(method, answer.output)
    except ProtocolError as error:
        raise faults.helper_request_failed(
            f"the privileged helper's reply to {method} is no reply: {error}"
        ) from error
