"""The ways from a server that is not root to the privileged helper: sudo, and a socket of systemd."""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.helper_client import HelperClient
from integration.private_host import HELPER, PYTHON, USER, PrivateHost

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="a namespace with a user of its own needs root"),
]

PACKAGING = Path(__file__).parents[2] / "packaging"
needs_sudo = pytest.mark.skipif(shutil.which("sudo") is None, reason="sudo is not installed")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate is not installed"
)


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as made:
        made.run("chown", USER, os.fspath(made.area))
        yield made


@pytest.fixture(scope="module")
def path(host: PrivateHost) -> Path:
    """The helper's socket as our listener has it."""
    return host.listen("helper.sock")


def ram(host: PrivateHost, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "Mountpoint": str(host.area / name),
        "OwnerUID": host.uid,
        "OwnerGID": host.uid,
        "Ramdisk": {"Size": 1, "NUMANode": None, "DisableHugepages": True},
    } | changes


def format_and_unmount(host: PrivateHost, name: str, **way: object) -> None:
    """What the server's user has done: a RAM disk that is its own, and none for somebody else."""
    wanted = ("ScmFormat", ram(host, name))
    begun, again = host.ask_all(wanted, wanted, **way)
    assert begun["reply"]["State"] == "mounted"
    assert again["code"] == Code.STORAGE_ALREADY_FORMATTED
    assert host.mounted() == [str(host.area / name)]
    assert host.run("touch", f"{host.area}/{name}/file", as_user=True).returncode == 0
    foreign = ("ScmFormat", ram(host, "other", OwnerUID=0))
    gone = ("ScmUnmount", {"Target": str(host.area / name)})
    refused, *unmounted = host.ask_all(foreign, gone, gone, **way)
    assert refused["code"] == Code.PRIVILEGED_HELPER_REQUEST_FAILED
    assert "does not serve" in refused["text"]
    assert not (host.area / "other").exists()
    assert all("reply" in answer for answer in unmounted)
    assert host.mounted() == []


# The socket


@pytest.mark.parametrize("with_systemd", [False, pytest.param(True, marks=needs_systemd)])
def test_through_a_socket_an_ordinary_user_has_its_own_storage_formatted(
    host: PrivateHost, with_systemd: bool
) -> None:
    socket_path = host.listen(f"formats{with_systemd}.sock", with_systemd=with_systemd)
    assert host.ask(socket=socket_path) == {"reply": None}
    format_and_unmount(host, f"ram{with_systemd}", socket=socket_path)


def test_behind_a_socket_the_helper_serves_its_owner_and_root_and_nobody_else(
    host: PrivateHost, path: Path
) -> None:
    assert host.ask(socket=path, as_user=False) == {"reply": None}
    stranger = host.run(
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
        "sh", "-c", f'printf %s \'{{"Method":"Ping","Payload":{{}}}}\' | '
        f'{shutil.which("python3") or "python3"} -c "{_RAW}" {path}',
    )  # fmt: skip
    assert "does not serve user 65534" in stranger.stdout, stranger.stderr


_RAW = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
    "s.sendall(sys.stdin.buffer.read()); s.shutdown(1); print(s.makefile().read())"
)


def test_a_socket_that_is_missing_dead_or_not_roots_is_fault_4(host: PrivateHost) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(host.area / "dead.sock"))
    (host.area / "dead.sock").chmod(0o666)
    faults = [host.ask(socket=host.area / name) for name in ("none.sock", "dead.sock")]
    host.start(
        "python3", "-c", f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{host.area}/user.sock');"
        "s.listen(); time.sleep(60)", as_user=True,
    )  # fmt: skip
    faults.append(_once_listening(host, host.area / "user.sock"))
    for fault in faults:
        assert fault["code"] == Code.PRIVILEGED_HELPER_NOT_AVAILABLE
        assert "daos_server_helper.socket" in fault["help"]
    assert "and not root" in faults[-1]["text"]


def _once_listening(host: PrivateHost, path: Path) -> dict[str, Any]:
    while "and not root" not in (answer := host.ask(socket=path))["text"]:
        assert "No such file" in answer["text"] or "refused" in answer["text"], answer
    return answer


OLD_RELEASE = '{"Error":null,"Payload":{"Version":"0.0.1","AppName":"daos_server_helper"}}'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("exit 3", "ended without an answer"),
        ("cat >/dev/null; kill -9 $$", "ended without an answer"),
        ("cat >/dev/null; echo garbage", "no reply"),
        ("cat >/dev/null; head -c 3000000 /dev/zero", "no reply"),
        ("exec sleep 30", "within 1 s"),
        (f"cat >/dev/null; echo '{OLD_RELEASE}'", "version 0.0.1"),
    ],
)
@pytest.mark.asyncio
async def test_a_helper_behind_a_socket_that_misbehaves_becomes_fault_5(
    tmp_path: Path, body: str, says: str
) -> None:
    async with _listener(tmp_path / "s", body) as socket_path:
        with pytest.raises(Fault, match=says) as caught:
            await HelperClient(socket=socket_path, limit_s=1).check()
    assert caught.value.code == Code.PRIVILEGED_HELPER_REQUEST_FAILED


class _listener:  # noqa: N801 - reads as the function that it would be
    """A socket of this process, with a shell for each connection."""

    def __init__(self, path: Path, body: str) -> None:
        self._path, self._body = path, body
        self._children: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Path:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(os.fspath(self._path))
        self._socket.listen()
        self._socket.setblocking(False)
        self._task = asyncio.create_task(self._serve())
        return self._path

    async def _serve(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._socket)
            with connection:
                connection.setblocking(True)
                self._children.append(
                    await asyncio.create_subprocess_exec(
                        "sh", "-c", self._body, stdin=connection, stdout=connection
                    )
                )

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._socket.close()
        for child in self._children:
            if child.returncode is None:
                child.kill()
            await child.wait()


def test_who_connects_and_says_nothing_does_not_keep_a_helper(host: PrivateHost, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(30)
        silent.connect(os.fspath(path))
        assert silent.recv(100) == b""  # it ended


# sudo


def sudoers(program: Path, user: str = USER) -> str:
    """The file that the project ships, for a program elsewhere and another user."""
    text = (PACKAGING / "sudoers.d/daos_server").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all("/usr/bin/daos_server_helper" in line for line in lines)
    moved = "\n".join(lines).replace("/usr/bin/daos_server_helper", os.fspath(program))
    return moved.replace("daos_server ALL", f"{user} ALL") + "\n"


@needs_sudo
def test_the_shipped_sudoers_file_is_valid(host: PrivateHost) -> None:
    done = host.run("visudo", "--check", "--strict", f"--file={PACKAGING / 'sudoers.d/daos_server'}")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_sudo
def test_through_sudo_an_ordinary_user_has_its_own_storage_formatted_and_may_run_nothing_else(
    host: PrivateHost,
) -> None:
    rules = host.area / "etc/sudoers.d/daos_server"
    assert host.ask(binary=HELPER)["code"] == Code.PRIVILEGED_HELPER_NOT_AVAILABLE  # no rule yet
    rules.write_text(sudoers(HELPER))
    rules.chmod(0o440)
    assert host.ask(binary=HELPER) == {"reply": None}
    format_and_unmount(host, "sudo", binary=HELPER)
    for command in (["true"], [os.fspath(HELPER), "--anything"], ["KILL=1", os.fspath(HELPER)]):
        denied = host.run("sudo", "-n", *command, as_user=True)
        assert denied.returncode == 1
        assert "sudo:" in denied.stderr
    rules.unlink()


@needs_sudo
def test_a_pseudo_terminal_for_all_of_sudo_does_not_keep_the_helper_from_answering(host: PrivateHost) -> None:
    rules = host.area / "etc/sudoers.d/daos_server"
    rules.write_text(sudoers(HELPER).replace(", !use_pty", ", use_pty"))
    rules.chmod(0o440)
    assert host.ask(binary=HELPER) == {"reply": None}
    format_and_unmount(host, "pty", binary=HELPER)
    rules.unlink()


def test_without_sudo_it_is_said_what_is_missing(host: PrivateHost) -> None:
    hidden = host.area / "empty"
    hidden.mkdir(exist_ok=True)
    done = host.run(
        "env", f"PATH={hidden}", os.path.realpath("/usr/bin/env"), "-i", f"PATH={hidden}",
        *_check_by_path(), as_user=True,
    )  # fmt: skip
    assert "sudo is not installed" in done.stdout, done.stderr


def _check_by_path() -> list[str]:
    code = (
        "import asyncio; from daos_control.storage.helper_client import HelperClient; from pathlib import Path\n"
        f"try: asyncio.run(HelperClient(Path({os.fspath(HELPER)!r})).check())\n"
        "except Exception as e: print(e)"
    )
    return [PYTHON, "-I", "-c", code]
