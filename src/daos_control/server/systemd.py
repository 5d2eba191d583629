"""Telling the service manager how the server stands (the protocol of sd_notify)."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send "READY=1", "STOPPING=1", ...; nothing to do where no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        contextlib.suppress(OSError),
    ):
        channel.sendto(state.encode(), target)
