"""dRPC: the protocol between a server and its engines, over Unix sockets of type SOCK_SEQPACKET.

A message is a serialized `drpc.Call` or `drpc.Response`, cut into numbered chunks of one packet each (`framing`).
`call` makes one call on a connection of its own; `DrpcServer` answers them; `methods` lists who answers what.
"""

from daos_control.drpc.client import call
from daos_control.drpc.framing import FramingError
from daos_control.drpc.methods import Method, Module
from daos_control.drpc.server import DrpcServer
from daos_control.drpc.status import DrpcStatus, DrpcStatusError

__all__ = ["DrpcServer", "DrpcStatus", "DrpcStatusError", "FramingError", "Method", "Module", "call"]
