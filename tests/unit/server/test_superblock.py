"""The superblock: the format of DAOS, strict reading, atomic writing."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import Fault
from daos_control.server import superblock
from daos_control.server.superblock import Superblock

UUID = "12345678-1234-5678-1234-567812345678"

# As DAOS's own server writes one.
DAOS_TEXT = f"""\
version: 1
uuid: {UUID}
system: daos_server
rank: 3
uri: ofi+tcp://10.0.0.1:31316
validrank: true
hostfaultdomain: /rack1/host7
incarnation: 2975137982034214912
"""


def test_it_is_written_as_daos_writes_it() -> None:
    block = Superblock(
        uuid=UUID,
        system="daos_server",
        rank=3,
        uri="ofi+tcp://10.0.0.1:31316",
        rank_is_valid=True,
        fault_domain="/rack1/host7",
        incarnation=2975137982034214912,
    )
    assert block.to_yaml() == DAOS_TEXT
    assert Superblock.from_yaml(DAOS_TEXT) == block


def test_one_that_never_joined_has_a_null_rank() -> None:
    block = Superblock.new("daos_server", "/host")
    assert "rank: null\n" in block.to_yaml()
    assert "uri: ''\n" in block.to_yaml()
    assert block.member_rank is None
    assert Superblock.from_yaml(block.to_yaml()) == block


def test_a_requested_rank_is_not_taken_for_an_assigned_one() -> None:
    text = DAOS_TEXT.replace("validrank: true", "validrank: false")
    assert Superblock.from_yaml(text).rank == 3
    assert Superblock.from_yaml(text).member_rank is None


@given(
    rank=st.none() | st.integers(0, 0xFFFFFFFE),
    uri=st.text(max_size=200),
    domain=st.text(max_size=50),
    incarnation=st.integers(0, (1 << 64) - 1),
)
def test_what_was_written_is_read_back(rank: int | None, uri: str, domain: str, incarnation: int) -> None:
    block = Superblock(UUID, "sys", rank, uri, rank is not None, domain, incarnation)
    assert Superblock.from_yaml(block.to_yaml()) == block


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "\0\0\0\0",
        "just text",
        "- a\n- list",
        DAOS_TEXT[: len(DAOS_TEXT) // 2],
        DAOS_TEXT.replace("version: 1", "version: 2"),
        DAOS_TEXT.replace("version: 1\n", ""),
        DAOS_TEXT.replace(UUID, "not-a-uuid"),
        DAOS_TEXT.replace("rank: 3", "rank: -1"),
        DAOS_TEXT.replace("rank: 3", "rank: 4294967295"),
        DAOS_TEXT.replace("rank: 3", "rank: true"),
        DAOS_TEXT.replace("rank: 3", "rank: null"),
        DAOS_TEXT.replace("validrank: true", "validrank: maybe"),
        DAOS_TEXT.replace("incarnation: 2975137982034214912", "incarnation: -1"),
        DAOS_TEXT.replace("uri: ", "url: "),
        DAOS_TEXT.replace("system: daos_server", "system: [daos_server]"),
        "version: 1\nuuid: *nothing\n",
    ],
)
def test_a_damaged_one_is_a_fault_that_names_the_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "superblock"
    path.write_text(damage)
    with pytest.raises(Fault) as caught:
        superblock.read(path)
    assert str(path) in caught.value.description
    assert path.read_text() == damage


def test_flipped_bits_never_pass_as_another_uuid(tmp_path: Path) -> None:
    path = tmp_path / "superblock"
    data = DAOS_TEXT.encode()
    start = data.index(UUID.encode())
    for position in range(start, start + len(UUID)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x80]) + data[position + 1 :])
        with pytest.raises(Fault):
            superblock.read(path)


def test_an_oversized_one_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "superblock"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Fault, match="larger"):
        superblock.read(path)


def test_a_missing_one_is_none(tmp_path: Path) -> None:
    assert superblock.read(tmp_path / "superblock") is None


def test_it_is_written_with_the_mode_of_daos_and_leaves_no_staging_file(tmp_path: Path) -> None:
    path = tmp_path / "superblock"
    superblock.write(path, Superblock.new("sys", "/host"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert [p.name for p in tmp_path.iterdir()] == ["superblock"]


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "superblock"
    old = Superblock.new("sys", "/host")
    superblock.write(path, old)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Fault, match="No space left"):
        superblock.write(path, Superblock.new("sys", "/other"))
    assert superblock.read(path) == old
    assert [p.name for p in tmp_path.iterdir()] == ["superblock"]


def test_a_staging_file_of_a_crash_is_neither_read_nor_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "superblock"
    (tmp_path / "superblock.staging").write_text("half of a super")
    assert superblock.read(path) is None
    block = Superblock.new("sys", "/host")
    superblock.write(path, block)
    assert superblock.read(path) == block


def test_removing_is_idempotent(tmp_path: Path) -> None:
    path = tmp_path / "superblock"
    superblock.write(path, Superblock.new("sys", "/host"))
    superblock.remove(path)
    superblock.remove(path)
    assert list(tmp_path.iterdir()) == []
