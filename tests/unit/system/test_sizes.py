"""Sizes, spelled as DAOS's tools spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError
from daos_control.system.sizes import format_binary, format_decimal, parse


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (9, "9 B"),
        (10, "10 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (82_854_982, "83 MB"),
        (2147483648 - 1517738688, "630 MB"),
        (1517738688, "1.5 GB"),
        (2147483648, "2.1 GB"),
        (10**9, "1.0 GB"),
        (999_999_999, "1000 MB"),
        (5_400_000_000, "5.4 GB"),
        ((1 << 64) - 1, "18 EB"),
    ],
)
def test_decimal_sizes(size: int, text: str) -> None:
    assert format_decimal(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (4096, "4.0 KiB"),
        (128 << 10, "128 KiB"),
        (16 << 20, "16 MiB"),
        (1 << 30, "1.0 GiB"),
        (10 << 30, "10 GiB"),
        ((1 << 64) - 1, "16 EiB"),
    ],
)
def test_binary_sizes(size: int, text: str) -> None:
    assert format_binary(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1B", 1),
        ("2GB", 2 * 10**9),
        ("2 GiB", 2 << 30),
        ("2gib", 2 << 30),
        ("2G", 2 * 10**9),
        ("2gi", 2 << 30),
        ("1.5t", 15 * 10**11),
        ("1,000k", 10**6),
        ("12.5 kB", 12500),
        (".5k", 500),
        ("1.", 1),
        ("0.7B", 0),
        ("1.001 kB", 1001),
        ("16E", 16 * 10**18),
        ("18446744073709551615", (1 << 64) - 1),
    ],
)
def test_sizes_are_read_in_every_spelling(text: str, size: int) -> None:
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", " ", "GB", "1 foo", "-1", "1.2.3", "1e3", "0x10", "½k", "1 k B", "１k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ControlError, match="is not a size"):
        parse(text)


def test_a_size_beyond_64_bits_is_refused() -> None:
    with pytest.raises(ControlError, match="too large"):
        parse("18446744073709551616")
    with pytest.raises(ControlError, match="too large"):
        parse("17EiB")


def test_a_negative_size_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_decimal(-1)


@given(st.integers(0, (1 << 63)))
def test_a_printed_size_reads_back_to_what_it_rounds(size: int) -> None:
    for text in (format_decimal(size), format_binary(size)):
        assert abs(parse(text) - size) <= max(size * 0.051, 0)
        assert len(text) <= 8
