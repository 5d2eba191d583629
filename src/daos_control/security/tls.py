"""Transport security: certificate files, checked before use, and gRPC credentials made of them."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from daos_control.faults import security as faults

CERTS_DIR: Final = Path("/etc/daos/certs")
CERT_MODE_MAX: Final = 0o664
SERVER_KEY_MODE_MAX: Final = 0o400
ADMIN_KEY_MODE_MAX: Final = 0o440

SERVER_NAME: Final = "server"
"""The common name of every server's certificate; clients ask for it instead of the host's name."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The transport_config of a component. `client_cert_dir` holds the agents' certificates; servers only."""

    ca_cert: Path = CERTS_DIR / "daosCA.crt"
    cert: Path = CERTS_DIR / "server.crt"
    key: Path = CERTS_DIR / "server.key"
    client_cert_dir: Path = CERTS_DIR / "clients"
    allow_insecure: bool = False


@dataclass(frozen=True, slots=True)
class Certificates:
    """The contents of checked files, PEM."""

    ca: bytes
    chain: bytes
    key: bytes


def read_pem(path: Path, mode_max: int) -> bytes:
    """Raises Fault 901, 902 or 903 where the file is missing, unreadable, no file, or open to too many."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise faults.invalid_cert_file(str(path), "it is not a regular file")
        if found.st_mode & ~mode_max & 0o777:
            raise faults.insecure_mode(str(path), stat.S_IMODE(found.st_mode), mode_max)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise faults.missing_cert_file(str(path)) from None
    except PermissionError:
        raise faults.unreadable_cert_file(str(path)) from None


def load(transport: Transport, *, key_mode_max: int, now: datetime | None = None) -> Certificates:
    """Read and check the files: present, private, a pair, in their time, and signed by the CA.

    Raises Fault 901, 902 or 903, which names the file.
    """
    certificates = Certificates(
        ca=read_pem(transport.ca_cert, CERT_MODE_MAX),
        chain=read_pem(transport.cert, CERT_MODE_MAX),
        key=read_pem(transport.key, key_mode_max),
    )
    ca = parse_certificate(transport.ca_cert, certificates.ca)
    leaf = parse_certificate(transport.cert, certificates.chain)
    try:
        # The full check of an RSA key takes longer than everything else that dmg does; that the key is the
        # certificate's is checked below, and a damaged one fails at the first handshake.
        key = load_pem_private_key(certificates.key, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise faults.invalid_cert_file(str(transport.key), f"it holds no usable private key ({error})") from error
    if key.public_key() != leaf.public_key():
        raise faults.invalid_cert_file(str(transport.cert), f"it does not belong to the key {transport.key}")
    now = now or datetime.now(UTC)
    check_dates(transport.ca_cert, ca, now)
    check_dates(transport.cert, leaf, now)
    try:
        leaf.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise faults.invalid_cert_file(str(transport.cert), f"it is not signed by {transport.ca_cert}") from error
    return certificates


def load_server(transport: Transport) -> Certificates:
    """As `load`; also looks that the certificate is a server's, and that client_cert_dir can be listed."""
    certificates = load(transport, key_mode_max=SERVER_KEY_MODE_MAX)
    name = common_name(parse_certificate(transport.cert, certificates.chain))
    if name != SERVER_NAME:
        raise faults.invalid_cert_file(
            str(transport.cert), f'it is made out to "{name}", and no peer takes that for a {SERVER_NAME}'
        )
    try:
        next(transport.client_cert_dir.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        raise faults.missing_cert_file(str(transport.client_cert_dir)) from None
    except PermissionError:
        raise faults.unreadable_cert_file(str(transport.client_cert_dir)) from None
    return certificates


def load_client(transport: Transport) -> Certificates:
    return load(transport, key_mode_max=ADMIN_KEY_MODE_MAX)


def parse_certificate(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise faults.invalid_cert_file(str(path), "it holds no certificate in PEM form") from error


def common_name(certificate: x509.Certificate) -> str:
    """What the certificate says its holder is; "" where it does not."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def check_dates(path: Path, certificate: x509.Certificate, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise faults.invalid_cert_file(str(path), f"it is not valid before {certificate.not_valid_before_utc}")
    if now > certificate.not_valid_after_utc:
        raise faults.invalid_cert_file(str(path), f"it expired on {certificate.not_valid_after_utc}")


def server_credentials(transport: Transport) -> grpc.ServerCredentials | None:
    """Mutual TLS for a server; None where allow_insecure is written down. Raises as `load_server`."""
    if transport.allow_insecure:
        return None
    certificates = load_server(transport)
    return grpc.ssl_server_credentials(
        [(certificates.key, certificates.chain)], root_certificates=certificates.ca, require_client_auth=True
    )


def channel_credentials(certificates: Certificates) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=certificates.ca, private_key=certificates.key, certificate_chain=certificates.chain
    )


def open_channel(
    target: str, credentials: grpc.ChannelCredentials | None, options: Sequence[tuple[str, Any]] = ()
) -> grpc.aio.Channel:
    """A channel to "host:port": over mutual TLS, or plain where `credentials` is None."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=list(options))
    named = [*options, ("grpc.ssl_target_name_override", SERVER_NAME)]
    return grpc.aio.secure_channel(target, credentials, options=named)


def client_credentials(transport: Transport, *, server_key: bool = False) -> grpc.ChannelCredentials | None:
    """Checked credentials of a client; `server_key` for a server that calls another. None when insecure."""
    if transport.allow_insecure:
        return None
    return channel_credentials(load_server(transport) if server_key else load_client(transport))
