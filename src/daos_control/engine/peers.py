"""The engines of the group: where they are, and calls to them. A call to our own rank stays in the process."""

import json
from collections.abc import Callable
from typing import Any

from daos_control.engine.fabric import FabricMethod, Handler, call_json, call_raw
from daos_control.engine.fabric_address import FabricAddress
from daos_control.engine.group_map import GroupView
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status


class Peers:
    """Calls by rank. `view` is shared with who receives group maps; `is_dead` is given by who watches the peers."""

    def __init__(self, view: GroupView) -> None:
        self.view = view
        self._local: dict[FabricMethod, Handler] = {}
        self.is_dead: Callable[[int], bool] = lambda _rank: False

    def serve_locally(self, method: FabricMethod, handler: Handler) -> None:
        self._local[method] = handler

    @property
    def me(self) -> int:
        """Our rank. Raises DaosError AGAIN before it is set."""
        if self.view.rank is None:
            raise DaosError(Status.AGAIN, "this engine has no rank yet")
        return self.view.rank

    def address(self, rank: int) -> FabricAddress:
        """Raises DaosError OOG for a rank that is not in the group."""
        engine = self.view.map.engines.get(rank)
        if engine is None:
            raise DaosError(Status.OOG, f"rank {rank} is not in the group map of version {self.view.map.version}")
        try:
            return engine.address
        except ValueError as error:
            raise DaosError(Status.UNREACH, f"rank {rank}: {error}") from error

    async def call(
        self, rank: int, method: FabricMethod, request: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Raises DaosError: what the peer answered, or UNREACH, TIMEDOUT, OOG."""
        if rank != self.me:
            return await call_json(self.address(rank), method, request, seconds)
        reply: dict[str, Any] = json.loads(await self._local[method](json.dumps(request).encode()))
        if reply["status"] != 0:
            raise DaosError(int(reply["status"]), str(reply.get("detail", "")))
        return reply

    async def call_raw(self, rank: int, method: FabricMethod, body: bytes, seconds: float) -> bytes:
        """As `call`, with the body as it is."""
        if rank != self.me:
            return await call_raw(self.address(rank), method, body, seconds)
        return await self._local[method](body)
