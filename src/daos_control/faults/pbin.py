"""Faults of programs the server depends on: the privileged helper, and tools of the operating system."""

from daos_control.faults.code import Code
from daos_control.faults.core import Fault


def missing_software(program: str, needed_for: str, package: str) -> Fault:
    """A program or library is not installed; `package` says what brings it."""
    return Fault(
        "pbin",
        Code.MISSING_SOFTWARE_DEPENDENCY,
        f"{program} is not installed, and {needed_for} needs it",
        f"Install {package} on this host, then run the command again.",
    )


def unusable_software_version(program: str, version: str) -> Fault:
    """A program is installed in a version that is known not to work."""
    return Fault(
        "pbin",
        Code.BAD_VERSION_SOFTWARE_DEPENDENCY,
        f"{program} version {version} cannot be used with DAOS",
        f"Install a newer version of {program} on this host.",
    )


def helper_not_privileged(helper: str) -> Fault:
    """The helper runs, but not as root."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_NOT_PRIVILEGED,
        f"the privileged helper {helper} does not run as root",
        "Run daos_server as root, or let sudo start the helper for its user (docs/storage.md says how).",
    )


def helper_not_available(helper: str, reason: str) -> Fault:
    """The helper could not be started at all."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_NOT_AVAILABLE,
        f"the privileged helper {helper} cannot be started: {reason}",
        "Check that daos_server_helper is installed and that daos_server may run it as root (docs/storage.md).",
    )


def helper_socket_unusable(path: str, reason: str) -> Fault:
    """Nobody who could be trusted with a request listens at the configured socket."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_NOT_AVAILABLE,
        f"the privileged helper cannot be reached at {path}: {reason}",
        "Check that 'systemctl status daos_server_helper.socket' says listening, and that helper_socket in the "
        "server's configuration file is its path.",
    )


def helper_busy(method: str, resource: str) -> Fault:
    """Another process of the helper is at work on the same storage."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_REQUEST_FAILED,
        f"{method} has to wait: another request of the privileged helper is at work on {resource}",
        "It may have been begun before daos_server was restarted. Wait for it to end, then run the command again.",
    )


def helper_refused(helper: str, uid: int) -> Fault:
    """The helper was called by somebody it does not serve."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_REQUEST_FAILED,
        f"the privileged helper {helper} does not serve user {uid}",
        "Only root and the owner named in /etc/daos/daos_server_helper.owner may use it.",
    )


def helper_wrong_version(helper: str, found: str, wanted: str) -> Fault:
    """The helper belongs to another release than the server."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_REQUEST_FAILED,
        f"the privileged helper {helper} has version {found}, but this daos_server has version {wanted}",
        "Install daos_server and daos_server_helper from the same release.",
    )


def helper_request_failed(text: str, resolution: str = "") -> Fault:
    """A request to the helper failed for a reason that has no number of its own."""
    return Fault(
        "pbin",
        Code.PRIVILEGED_HELPER_REQUEST_FAILED,
        text,
        resolution or "See the server's log for what the helper wrote.",
    )
