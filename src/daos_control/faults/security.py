"""Faults of certificates and keys."""

from daos_control.faults.code import Code
from daos_control.faults.core import Fault

_GET_CERTIFICATES = (
    "make certificates with 'dmg cert init DIR' and name them in transport_config, or, on a network where "
    "everybody is trusted, set allow_insecure: true in the configuration of every component"
)


def missing_cert_file(path: str) -> Fault:
    return Fault(
        "security",
        Code.SECURITY_MISSING_CERT_FILE,
        f"certificates are enabled, but {path} was not found",
        _GET_CERTIFICATES,
    )


def unreadable_cert_file(path: str) -> Fault:
    return Fault(
        "security",
        Code.SECURITY_UNREADABLE_CERT_FILE,
        f"certificates are enabled, but {path} cannot be read by this user",
        "run as the user who owns the file, or change its owner or mode",
    )


def invalid_cert_file(path: str, why: str) -> Fault:
    return Fault(
        "security",
        Code.SECURITY_INVALID_CERT,
        f"{path} cannot be used as a certificate: {why}",
        "renew it with the site's CA; 'dmg cert init DIR' makes a new CA with a certificate for each component",
    )


def insecure_mode(path: str, mode: int, allowed: int) -> Fault:
    """The reference raises a text here; ours has the number of an unusable certificate file."""
    return Fault(
        "security",
        Code.SECURITY_INVALID_CERT,
        f"{path} has mode {mode:04o}, which lets more people at it than the allowed {allowed:04o}",
        f"run: chmod {allowed:04o} {path}",
    )
