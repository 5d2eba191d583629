"""One connected socket: whole messages in and out."""

import asyncio
import socket

from daos_control.drpc.framing import PACKET_BYTES_MAX, Assembler, FramingError, split


class Connection:
    """Owns a connected SOCK_SEQPACKET socket. Used by one task at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._assembler = Assembler()

    @classmethod
    async def open(cls, path: str) -> "Connection":
        """Raises OSError (FileNotFoundError, ConnectionRefusedError, ...) where nobody listens."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            await asyncio.get_running_loop().sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def send(self, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        for packet in split(message):
            await loop.sock_sendall(self._socket, packet)

    async def receive(self) -> bytes | None:
        """The next message, or None when the peer has closed in good order between two messages."""
        loop = asyncio.get_running_loop()
        while True:
            # One byte more than the limit, so that a packet above it is seen and not cut by the kernel.
            packet = await loop.sock_recv(self._socket, PACKET_BYTES_MAX + 1)
            if not packet:
                if self._assembler.in_message:
                    raise FramingError("connection closed in the middle of a message")
                return None
            message = self._assembler.feed(packet)
            if message is not None:
                return message

    def close(self) -> None:
        self._socket.close()
