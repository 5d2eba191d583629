"""Credentials of users: what an engine asks the server to validate when a client opens a pool or container.

An agent vouches for its caller by signing the serialized token (RSA-PSS with SHA-512); in a system without
certificates the "signature" is a plain SHA-512 digest, which proves nothing and only keeps the form.
"""

import hashlib
import hmac
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA512

from daos_control.faults import Fault, Status
from daos_control.proto.security import auth_pb2
from daos_control.security.tls import CERT_MODE_MAX, Transport, parse_certificate, read_pem

# The origin becomes a file name, so it must not be able to leave the directory.
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def sign(token: auth_pb2.Token, key: rsa.RSAPrivateKey | None) -> bytes:
    """The verifier's data for a token; the digest where there is no key."""
    message = token.SerializeToString(deterministic=True)
    if key is None:
        return hashlib.sha512(message).digest()
    return key.sign(message, padding.PSS(padding.MGF1(SHA512()), padding.PSS.MAX_LENGTH), SHA512())


def verify(token: auth_pb2.Token, signature: bytes, key: rsa.RSAPublicKey | None) -> bool:
    message = token.SerializeToString(deterministic=True)
    if key is None:
        return hmac.compare_digest(hashlib.sha512(message).digest(), signature)
    try:
        key.verify(signature, message, padding.PSS(padding.MGF1(SHA512()), padding.PSS.AUTO), SHA512())
    except InvalidSignature:
        return False
    return True


def validate(request: auth_pb2.ValidateCredReq, transport: Transport) -> auth_pb2.ValidateCredResp:
    """Answer an engine: the token unchanged with status 0, or the status that says why not.

    -1003 where a part is missing, -2043 where the signer's certificate cannot be used, -1001 where the signature
    is not the signer's. The certificate is read at each call, so that a replaced one counts at once.
    """
    credential = request.cred
    if not (request.HasField("cred") and credential.HasField("token") and credential.HasField("verifier")):
        return auth_pb2.ValidateCredResp(status=Status.INVAL)
    key: rsa.RSAPublicKey | None = None
    if not transport.allow_insecure:
        key = _public_key_of(credential.origin, transport)
        if key is None:
            return auth_pb2.ValidateCredResp(status=Status.NO_CERT)
    if not verify(credential.token, credential.verifier.data, key):
        return auth_pb2.ValidateCredResp(status=Status.NO_PERM)
    return auth_pb2.ValidateCredResp(token=credential.token)


def _public_key_of(origin: str, transport: Transport) -> rsa.RSAPublicKey | None:
    if not _ORIGIN.fullmatch(origin):
        return None
    path = transport.client_cert_dir / f"{origin}.crt"
    try:
        certificate: x509.Certificate = parse_certificate(path, read_pem(path, CERT_MODE_MAX))
    except Fault:
        return None
    key = certificate.public_key()
    return key if isinstance(key, rsa.RSAPublicKey) else None
