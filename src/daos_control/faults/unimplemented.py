"""The answer to a call that DAOS 2.8 knows and this server does not offer."""

from typing import Final

from daos_control.faults.code import Code
from daos_control.faults.core import Fault
from daos_control.version import PRODUCT_VERSION


class UnimplementedFault(Fault):
    """Goes to the wire as gRPC UNIMPLEMENTED, the status a client checks, with the Fault in its details.

    `method` is the full gRPC name, as "/ctl.CtlSvc/FirmwareQuery".
    """

    def __init__(self, method: str) -> None:
        super().__init__(
            "server",
            Code.SERVER_UNKNOWN,
            f"this server does not offer {method}",
            f"Nothing was changed. daos-control {PRODUCT_VERSION} has no such operation; use a server that has it.",
        )
        self.method: Final = method
