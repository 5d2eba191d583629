"""`dmg cert init` makes what `load` accepts, and `load` names the file that is wrong."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daos_control.faults import Code, ControlError, Fault
from daos_control.security import certs
from daos_control.security.tls import (
    ADMIN_KEY_MODE_MAX,
    Transport,
    load,
    load_client,
    load_server,
    server_credentials,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "certs"
    certs.init(path, days=30)
    return path


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "certs"))


def transport(directory: Path, component: str = "server") -> Transport:
    return Transport(
        ca_cert=directory / "daosCA.crt",
        cert=directory / f"{component}.crt",
        key=directory / f"{component}.key",
        client_cert_dir=directory / "clients",
    )


def test_init_makes_every_file_with_its_mode(made: Path) -> None:
    modes = {str(p.relative_to(made)): p.stat().st_mode & 0o777 for p in made.rglob("*") if p.is_file()}
    assert modes == {
        "daosCA.crt": 0o644, "daosCA.key": 0o400,
        "server.crt": 0o644, "server.key": 0o400,
        "admin.crt": 0o644, "admin.key": 0o440,
        "agent.crt": 0o644, "agent.key": 0o400,
        "clients/admin.crt": 0o644, "clients/agent.crt": 0o644,
    }  # fmt: skip


def test_what_init_made_is_accepted(made: Path) -> None:
    load_server(transport(made))
    load_client(transport(made, "admin"))
    assert server_credentials(transport(made)) is not None


def test_init_never_replaces_keys_and_leaves_nothing_beside_them(made: Path) -> None:
    before = {p: p.read_bytes() for p in made.rglob("*") if p.is_file()}
    with pytest.raises(ControlError, match="not empty"):
        certs.init(made)
    assert {p: p.read_bytes() for p in made.rglob("*") if p.is_file()} == before
    assert [p.name for p in made.parent.iterdir()] == ["certs"]


def test_a_failed_init_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(certs, "_write", full)
    with pytest.raises(OSError, match="No space"):
        certs.init(tmp_path / "certs")
    assert list(tmp_path.iterdir()) == []


def break_missing(directory: Path) -> Path:
    (directory / "server.key").unlink()
    return directory / "server.key"


def break_mode(directory: Path) -> Path:
    (directory / "server.key").chmod(0o440)
    return directory / "server.key"


def break_garbage(directory: Path) -> Path:
    (directory / "server.crt").write_text("no certificate")
    return directory / "server.crt"


def break_key(directory: Path) -> Path:
    (directory / "server.key").chmod(0o600)
    (directory / "server.key").write_text("no key")
    (directory / "server.key").chmod(0o400)
    return directory / "server.key"


def break_pair(directory: Path) -> Path:
    shutil.copy(directory / "admin.crt", directory / "server.crt")
    return directory / "server.crt"


def break_directory(directory: Path) -> Path:
    (directory / "daosCA.crt").unlink()
    (directory / "daosCA.crt").mkdir()
    return directory / "daosCA.crt"


def break_clients(directory: Path) -> Path:
    shutil.rmtree(directory / "clients")
    return directory / "clients"


@pytest.mark.parametrize(
    ("damage", "code", "what"),
    [
        (break_missing, Code.SECURITY_MISSING_CERT_FILE, "was not found"),
        (break_clients, Code.SECURITY_MISSING_CERT_FILE, "was not found"),
        (break_mode, Code.SECURITY_INVALID_CERT, "mode 0440"),
        (break_garbage, Code.SECURITY_INVALID_CERT, "no certificate"),
        (break_key, Code.SECURITY_INVALID_CERT, "no usable private key"),
        (break_pair, Code.SECURITY_INVALID_CERT, "does not belong to the key"),
        (break_directory, Code.SECURITY_INVALID_CERT, "not a regular file"),
    ],
)
def test_each_damage_is_a_fault_that_names_the_file(
    directory: Path, damage: Callable[[Path], Path], code: Code, what: str
) -> None:
    path = damage(directory)
    with pytest.raises(Fault, match=what) as caught:
        load_server(transport(directory))
    assert caught.value.code == code
    assert str(path) in caught.value.description
    assert caught.value.resolution


def test_a_server_does_not_start_with_the_certificate_of_another_component(made: Path) -> None:
    with pytest.raises(Fault, match=r"made out to .*agent") as caught:
        load_server(transport(made, "agent"))
    assert caught.value.code == Code.SECURITY_INVALID_CERT


def test_a_certificate_of_another_authority_is_refused(directory: Path, tmp_path: Path) -> None:
    certs.init(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "daosCA.crt", directory / "daosCA.crt")
    with pytest.raises(Fault, match="not signed by"):
        load_server(transport(directory))


@pytest.mark.parametrize(
    ("offset", "what"), [(timedelta(days=31), "expired on"), (timedelta(days=-1), "not valid before")]
)
def test_a_certificate_outside_its_time_is_refused(made: Path, offset: timedelta, what: str) -> None:
    with pytest.raises(Fault, match=what):
        load(transport(made, "admin"), key_mode_max=ADMIN_KEY_MODE_MAX, now=datetime.now(UTC) + offset)


def test_insecure_mode_reads_no_files() -> None:
    assert server_credentials(Transport(ca_cert=Path("/nonexistent"), allow_insecure=True)) is None
