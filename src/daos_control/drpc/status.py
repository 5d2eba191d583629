"""Statuses of the dRPC envelope; what a method itself answers is a DAOS status in the reply's body."""

from enum import IntEnum


class DrpcStatus(IntEnum):
    """How a call fared; the numbers are on the wire (drpc.Status)."""

    SUCCESS = 0
    SUBMITTED = 1
    FAILURE = 2
    UNKNOWN_MODULE = 3
    UNKNOWN_METHOD = 4
    FAILED_UNMARSHAL_CALL = 5
    FAILED_UNMARSHAL_PAYLOAD = 6
    FAILED_MARSHAL = 7


class DrpcStatusError(Exception):
    """The envelope of a reply carries another status than SUCCESS. A handler raises it to choose the status."""

    def __init__(self, status: int, detail: str = "") -> None:
        try:
            name = DrpcStatus(status).name
        except ValueError:
            name = str(status)
        super().__init__(f"bad dRPC response status: {name}" + (f" ({detail})" if detail else ""))
        self.status = status
