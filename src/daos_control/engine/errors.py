"""Errors of the embedded engine, and how the operating system's map to DAOS statuses."""

import errno

from daos_control.faults.core import DaosError
from daos_control.faults.status import Status


class StartError(Exception):
    """The engine cannot start; the text goes to stderr as one line, the program exits with 1."""


_STATUS_BY_ERRNO = {
    errno.ENOSPC: Status.NOSPACE,
    errno.EDQUOT: Status.NOSPACE,
    errno.EACCES: Status.NO_PERM,
    errno.EPERM: Status.NO_PERM,
    errno.EROFS: Status.NO_PERM,
    errno.ENOMEM: Status.NOMEM,
    errno.EEXIST: Status.EXIST,
    errno.ENOENT: Status.NONEXIST,
}


def from_os_error(error: OSError) -> DaosError:
    """The status that an engine answers for a failed operation on its storage; DER_IO where none fits better."""
    status = _STATUS_BY_ERRNO.get(error.errno or 0, Status.IO)
    return DaosError(status, error.strerror or str(error))
