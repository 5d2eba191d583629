"""Credentials are accepted when their signer signed them, and refused with the status DAOS gives."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from daos_control.faults import Status
from daos_control.proto.security import auth_pb2
from daos_control.security import certs
from daos_control.security.credentials import sign, validate
from daos_control.security.tls import Transport

TOKEN = auth_pb2.Token(flavor=auth_pb2.AUTH_SYS, data=auth_pb2.Sys(user="root@", group="root@").SerializeToString())

# What DAOS's own agent sent in insecure mode, and its server accepted.
OBSERVED = bytes.fromhex(
    "0a6c0a1d080112191202766d1a05726f6f74402205726f6f74402a05726f6f74401244080112405324d879357fefaa49dee6c2a9cf446b"
    "b2d12daedd57b6770b7cfbc5276d9aa3d6b3cd102ec87a920ab7be41d786e9d85fbb75a63245e04072ed06f940a3d3f61a056167656e74"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("security") / "certs"
    certs.init(path)
    return path


@pytest.fixture
def transport(directory: Path) -> Transport:
    return Transport(client_cert_dir=directory / "clients")


def agent_key(directory: Path) -> rsa.RSAPrivateKey:
    key = load_pem_private_key((directory / "agent.key").read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def request(signature: bytes, *, origin: str = "agent", token: auth_pb2.Token = TOKEN) -> auth_pb2.ValidateCredReq:
    verifier = auth_pb2.Token(flavor=auth_pb2.AUTH_SYS, data=signature)
    return auth_pb2.ValidateCredReq(cred=auth_pb2.Credential(token=token, verifier=verifier, origin=origin))


def test_a_signed_token_comes_back_unchanged(directory: Path, transport: Transport) -> None:
    answer = validate(request(sign(TOKEN, agent_key(directory))), transport)
    assert answer == auth_pb2.ValidateCredResp(token=TOKEN)


def test_the_token_of_daoss_own_agent_is_accepted_in_insecure_mode() -> None:
    observed = auth_pb2.ValidateCredReq.FromString(OBSERVED)
    answer = validate(observed, Transport(allow_insecure=True))
    assert answer == auth_pb2.ValidateCredResp(token=observed.cred.token)


def test_a_changed_token_or_signature_is_refused(directory: Path, transport: Transport) -> None:
    signature = sign(TOKEN, agent_key(directory))
    other = auth_pb2.Token(flavor=auth_pb2.AUTH_SYS, data=b"somebody else")
    assert validate(request(signature, token=other), transport).status == Status.NO_PERM
    assert validate(request(signature[:-1] + b"\0"), transport).status == Status.NO_PERM
    assert validate(request(b""), transport).status == Status.NO_PERM
    digest = hashlib.sha512(other.SerializeToString()).digest()
    assert validate(request(digest), Transport(allow_insecure=True)).status == Status.NO_PERM


def test_a_digest_is_no_signature_where_certificates_are_used(transport: Transport) -> None:
    assert validate(request(sign(TOKEN, None)), transport).status == Status.NO_PERM


@pytest.mark.parametrize("origin", ["nobody", "", "../agent", "/etc/passwd", "a/../agent", ".agent", "agent\n"])
def test_an_origin_without_a_certificate_or_outside_the_directory_has_none(
    directory: Path, transport: Transport, origin: str
) -> None:
    assert validate(request(sign(TOKEN, agent_key(directory)), origin=origin), transport).status == Status.NO_CERT


def test_missing_parts_are_invalid(transport: Transport) -> None:
    whole = request(b"x").cred
    for field in ("token", "verifier"):
        part = auth_pb2.Credential()
        part.CopyFrom(whole)
        part.ClearField(field)
        assert validate(auth_pb2.ValidateCredReq(cred=part), transport).status == Status.INVAL
    assert validate(auth_pb2.ValidateCredReq(), transport).status == Status.INVAL


def test_the_certificate_is_read_at_each_call(directory: Path, tmp_path: Path) -> None:
    signature = sign(TOKEN, agent_key(directory))
    transport = Transport(client_cert_dir=tmp_path)
    assert validate(request(signature), transport).status == Status.NO_CERT
    (tmp_path / "agent.crt").write_bytes((directory / "agent.crt").read_bytes())
    (tmp_path / "agent.crt").chmod(0o644)
    assert validate(request(signature), transport).status == 0
