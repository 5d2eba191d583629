"""Messages cut into chunks, one packet each, and put together again. No sockets here.

Every chunk has a header of 24 bytes, little-endian: bytes of the whole message (u64), bytes of this chunk (u64),
index of this chunk (u32), number of chunks (u32). A message of no bytes is one chunk without data.
"""

import struct

_HEADER = struct.Struct("<QQII")
HEADER_BYTES = _HEADER.size
PACKET_BYTES_MAX = 1 << 17
CHUNK_BYTES_MAX = PACKET_BYTES_MAX - HEADER_BYTES
MESSAGE_BYTES_MAX = 64 << 20


class FramingError(Exception):
    """The peer broke the framing; nothing more on its connection can be trusted."""


def split(message: bytes) -> list[bytes]:
    """The packets of a message, in order; at least one. Raises ValueError above MESSAGE_BYTES_MAX."""
    if len(message) > MESSAGE_BYTES_MAX:
        raise ValueError(f"a dRPC message has at most {MESSAGE_BYTES_MAX} bytes, this one {len(message)}")
    total = max(1, -(-len(message) // CHUNK_BYTES_MAX))
    packets = []
    for index in range(total):
        data = message[index * CHUNK_BYTES_MAX : (index + 1) * CHUNK_BYTES_MAX]
        packets.append(_HEADER.pack(len(message), len(data), index, total) + data)
    return packets


class Assembler:
    """Puts the packets of one connection together to messages; after a FramingError it must be dropped."""

    __slots__ = ("_chunks", "_message_bytes", "_received_bytes", "_total_chunks")

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._chunks: list[bytes] = []
        self._received_bytes = 0
        self._message_bytes = 0
        self._total_chunks = 0

    @property
    def in_message(self) -> bool:
        """Whether a message has been begun and not finished."""
        return bool(self._chunks)

    def feed(self, packet: bytes) -> bytes | None:
        """Take one packet; the message where this was its last chunk."""
        if len(packet) < HEADER_BYTES:
            raise FramingError(f"packet of {len(packet)} bytes is shorter than a header")
        if len(packet) > PACKET_BYTES_MAX:
            raise FramingError(f"packet is longer than {PACKET_BYTES_MAX} bytes")
        message_bytes, chunk_bytes, index, total_chunks = _HEADER.unpack_from(packet)
        data = packet[HEADER_BYTES:]
        if chunk_bytes != len(data):
            raise FramingError(f"header announces {chunk_bytes} bytes of data, packet has {len(data)}")
        if not self.in_message:
            self._begin(message_bytes, total_chunks)
        if (message_bytes, total_chunks) != (self._message_bytes, self._total_chunks):
            raise FramingError("chunks of one message disagree on its size")
        if index != len(self._chunks):
            raise FramingError(f"chunk {index} came where chunk {len(self._chunks)} was due")
        self._chunks.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > self._message_bytes:
            raise FramingError("chunks hold more bytes than their message")
        if len(self._chunks) < self._total_chunks:
            if not data:
                raise FramingError("empty chunk before the last one")
            return None
        if self._received_bytes != self._message_bytes:
            raise FramingError("chunks hold fewer bytes than their message")
        message = b"".join(self._chunks)
        self._reset()
        return message

    def _begin(self, message_bytes: int, total_chunks: int) -> None:
        if message_bytes > MESSAGE_BYTES_MAX:
            raise FramingError(f"message of {message_bytes} bytes is above the limit of {MESSAGE_BYTES_MAX}")
        if total_chunks == 0:
            raise FramingError("message of no chunks")
        self._message_bytes = message_bytes
        self._total_chunks = total_chunks
