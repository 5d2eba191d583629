"""`dmg cert init`: a certificate authority for one system, and a certificate for each of its components."""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daos_control.faults import ControlError
from daos_control.security.components import Component
from daos_control.security.tls import ADMIN_KEY_MODE_MAX, SERVER_KEY_MODE_MAX

KEY_BITS = 3072  # RSA, because DAOS's own programs speak an RSA key exchange only
DAYS_DEFAULT = 1095
CA_NAME = "DAOS CA"

KEY_MODES = {
    Component.SERVER: SERVER_KEY_MODE_MAX,
    Component.ADMIN: ADMIN_KEY_MODE_MAX,
    Component.AGENT: SERVER_KEY_MODE_MAX,
}
"""Components with a certificate of their own, and the mode of each one's key."""


def init(directory: Path, *, days: int = DAYS_DEFAULT) -> list[Path]:
    """Make `directory` with daosCA.{crt,key}, a pair for each component, and clients/ for the servers.

    All or nothing: the files are made beside it and moved into place as a whole. Raises ControlError where
    `directory` exists and is not empty: keys are never replaced.
    """
    if directory.is_symlink() or (directory.exists() and (not directory.is_dir() or any(directory.iterdir()))):
        raise ControlError(
            f"{directory} already exists and is not empty; name a new directory, keys are never replaced"
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        _fill(draft, days)
        draft.chmod(0o755)
        draft.replace(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _fill(directory: Path, days: int) -> None:
    now = datetime.now(UTC)
    ca_key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    ca_name = _name(CA_NAME)
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .sign(ca_key, hashes.SHA512())
    )
    _write_pair(directory, "daosCA", ca, ca_key, 0o400)
    clients = directory / "clients"
    clients.mkdir(mode=0o755)
    for component, key_mode in KEY_MODES.items():
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        certificate = (
            _builder(_name(component.value), ca_name, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .sign(ca_key, hashes.SHA512())
        )
        _write_pair(directory, component.value, certificate, key, key_mode)
        if component is not Component.SERVER:
            _write(clients / f"{component.value}.crt", _pem(certificate), 0o644)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "DAOS"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # hosts whose clocks run a little behind can start at once
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_pair(
    directory: Path, stem: str, certificate: x509.Certificate, key: rsa.RSAPrivateKey, mode: int
) -> None:
    _write(directory / f"{stem}.crt", _pem(certificate), 0o644)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(directory / f"{stem}.key", private, mode)


def _write(path: Path, data: bytes, mode: int) -> None:
    # Never readable by others, not even for the moment between making and chmod.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)
