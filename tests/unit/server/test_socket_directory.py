"""One server at a time has a socket directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.server.socket_directory import SocketDirectory


def test_a_second_holder_is_told_who_has_it(tmp_path: Path) -> None:
    first = SocketDirectory.take(tmp_path)
    with pytest.raises(Fault) as caught:
        SocketDirectory.take(tmp_path)
    assert caught.value.code == Code.SOCKET_FILE_IN_USE
    assert f"pid {os.getpid()}" in caught.value.description
    first.close()
    SocketDirectory.take(tmp_path).close()


def test_a_holder_that_was_killed_does_not_stand_in_the_way(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from daos_control.server.socket_directory import SocketDirectory\n"
        "held = SocketDirectory.take(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert (tmp_path / ".daos_server.lock").read_text() != ""
    SocketDirectory.take(tmp_path).close()


def test_closing_removes_the_sockets_of_engines_and_may_be_repeated(tmp_path: Path) -> None:
    held = SocketDirectory.take(tmp_path)
    (tmp_path / "daos_engine_77.sock").touch()
    (tmp_path / "other.sock").touch()
    held.close()
    held.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".daos_server.lock", "other.sock"]


def test_a_missing_directory_and_a_file_in_its_place_are_faults(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="does not exist"):
        SocketDirectory.take(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(Fault, match="no directory"):
        SocketDirectory.take(tmp_path / "file")


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".daos_server.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(Fault):
        SocketDirectory.take(tmp_path)
    assert not (tmp_path / "victim").exists()
