"""One request as its handler sees it: who asks, and until when an answer is of use."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc

from daos_control.faults import ControlError


@dataclass(frozen=True, slots=True)
class Call:
    """`peer` is gRPC's name of the caller ("ipv4:10.0.0.1:4711"); `deadline` is of the event loop's clock."""

    peer: str
    deadline: float

    @classmethod
    def of(cls, context: "grpc.aio.ServicerContext[Any, Any]", default_s: float) -> "Call":
        """`default_s` seconds are granted to a caller that states no deadline."""
        left = context.time_remaining()
        return cls.within(default_s if left is None else max(0.0, left), context.peer())

    @classmethod
    def within(cls, seconds: float, peer: str = "") -> "Call":
        """A request of our own."""
        return cls(peer, asyncio.get_running_loop().time() + seconds)

    @property
    def remaining_s(self) -> float:
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    @property
    def peer_ip(self) -> str:
        """The caller's IP address. Raises ControlError where it did not come over TCP."""
        family, _, rest = self.peer.partition(":")
        if family not in ("ipv4", "ipv6"):
            raise ControlError(f"peer address ({self.peer}) not tcp")
        return unquote(rest).rpartition(":")[0].strip("[]")
