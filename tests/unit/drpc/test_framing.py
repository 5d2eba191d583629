"""Messages survive being cut and joined at every boundary; a broken stream is always noticed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.drpc.framing import (
    CHUNK_BYTES_MAX,
    HEADER_BYTES,
    MESSAGE_BYTES_MAX,
    PACKET_BYTES_MAX,
    Assembler,
    FramingError,
    split,
)

HEADER = struct.Struct("<QQII")

AROUND_BOUNDARIES = st.builds(
    lambda chunks, offset: max(0, chunks * CHUNK_BYTES_MAX + offset),
    st.integers(0, 4),
    st.integers(-2, 2),
)


def join(packets: list[bytes]) -> bytes:
    assembler = Assembler()
    for packet in packets[:-1]:
        assert assembler.feed(packet) is None
        assert assembler.in_message
    message = assembler.feed(packets[-1])
    assert message is not None
    assert not assembler.in_message
    return message


@given(size=st.one_of(AROUND_BOUNDARIES, st.integers(0, 4096)))
def test_a_message_of_any_size_comes_back_as_it_was(size: int) -> None:
    message = bytes(i % 251 for i in range(min(size, 300))).ljust(size, b"\x5a")
    packets = split(message)
    assert all(HEADER_BYTES <= len(p) <= PACKET_BYTES_MAX for p in packets)
    assert len(packets) == max(1, -(-size // CHUNK_BYTES_MAX))
    assert join(packets) == message


def test_a_message_of_no_bytes_is_one_packet_with_a_header() -> None:
    assert split(b"") == [HEADER.pack(0, 0, 0, 1)]


def test_the_header_is_the_documented_one() -> None:
    assert split(b"abc") == [b"\x03" + b"\0" * 7 + b"\x03" + b"\0" * 7 + b"\0" * 4 + b"\x01\0\0\0" + b"abc"]


def test_one_assembler_takes_message_after_message() -> None:
    assembler = Assembler()
    for message in (b"", b"one", b"", b"two"):
        (packet,) = split(message)
        assert assembler.feed(packet) == message


@pytest.mark.parametrize(
    ("packet", "what"),
    [
        (b"", "shorter than a header"),
        (b"\0" * (HEADER_BYTES - 1), "shorter than a header"),
        (b"\0" * (PACKET_BYTES_MAX + 1), "longer than"),
        (HEADER.pack(0, 0, 0, 0), "no chunks"),
        (HEADER.pack(3, 3, 0, 1) + b"ab", "announces 3 bytes"),
        (HEADER.pack(3, 2, 0, 1) + b"abc", "announces 2 bytes"),
        (HEADER.pack(2, 3, 0, 1) + b"abc", "more bytes than"),
        (HEADER.pack(4, 3, 0, 1) + b"abc", "fewer bytes than"),
        (HEADER.pack(3, 3, 1, 2) + b"abc", "chunk 1 came where chunk 0"),
        (HEADER.pack(3, 0, 0, 2), "empty chunk"),
        (HEADER.pack(MESSAGE_BYTES_MAX + 1, 3, 0, 1) + b"abc", "above the limit"),
    ],
)
def test_a_bad_packet_is_refused_with_its_reason(packet: bytes, what: str) -> None:
    with pytest.raises(FramingError, match=what):
        Assembler().feed(packet)


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (HEADER.pack(6, 3, 0, 2) + b"def", "chunk 0 came where chunk 1"),
        (HEADER.pack(6, 3, 2, 2) + b"def", "chunk 2 came where chunk 1"),
        (HEADER.pack(7, 3, 1, 2) + b"def", "disagree"),
        (HEADER.pack(6, 3, 1, 3) + b"def", "disagree"),
        (HEADER.pack(6, 4, 1, 2) + b"defg", "more bytes than"),
        (HEADER.pack(6, 2, 1, 2) + b"de", "fewer bytes than"),
    ],
)
def test_a_second_packet_must_go_on_where_the_first_ended(second: bytes, what: str) -> None:
    assembler = Assembler()
    assert assembler.feed(HEADER.pack(6, 3, 0, 2) + b"abc") is None
    with pytest.raises(FramingError, match=what):
        assembler.feed(second)


@given(packets=st.lists(st.binary(max_size=64), max_size=8))
def test_garbage_is_refused_or_joined_but_never_more_than_was_sent(packets: list[bytes]) -> None:
    assembler = Assembler()
    sent = 0
    for packet in packets:
        sent += len(packet)
        try:
            message = assembler.feed(packet)
        except FramingError:
            return
        assert message is None or len(message) <= sent


@given(data=st.data())
def test_any_swap_or_loss_of_packets_is_noticed(data: st.DataObject) -> None:
    message = b"x" * (2 * CHUNK_BYTES_MAX + 7)
    packets = split(message)
    order = data.draw(st.permutations(range(len(packets))).filter(lambda p: list(p) != sorted(p)))
    assembler = Assembler()
    with pytest.raises(FramingError):
        for index in order:
            assembler.feed(packets[index])


def test_a_message_above_the_limit_is_not_sent() -> None:
    with pytest.raises(ValueError, match="at most"):
        split(bytes(MESSAGE_BYTES_MAX + 1))
