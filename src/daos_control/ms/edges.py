"""The outside world as the management service sees it: Protocols that the server implements, and tests fake."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.faults import ControlError
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.events import RasEvent
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult

PublishEvent = Callable[[RasEvent], None]
"""Takes an event that was born in the management service; logs it and hands it to whoever listens. Never blocks."""


class EngineNotReadyError(ControlError):
    """A local engine runs but has no rank yet, or has not been set up: asking again soon helps."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("engine not ready yet" + (f": {detail}" if detail else ""))


class Clock(Protocol):
    """The time of day; records carry it."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...


class LocalEngines(Protocol):
    """The engines of this host, through which the management service speaks to all of them."""

    @property
    def targets(self) -> int:
        """Targets per engine; of the first engine, as pools are sized the same on every rank."""
        ...

    @property
    def has_bdevs(self) -> bool:
        """Whether the engines are configured with block devices."""
        ...

    @property
    def md_on_ssd(self) -> bool:
        """Whether the engines keep pool metadata on block devices (a role META is configured)."""
        ...

    def ready_ranks(self) -> frozenset[int]:
        """Ranks of the local engines that are set up now."""
        ...

    async def wait_ready(self) -> None:
        """Return once at least one local engine is set up; at once where one is."""
        ...

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        """One dRPC to the first usable local engine, in index order; returns the decoded reply.

        Raises Fault 610 where engines are not started at all, Fault 611 where none runs, EngineNotReadyError
        where one runs that is not set up; OSError, TimeoutError, FramingError and DrpcStatusError for a call that
        may have reached the engine. A DAOS status in the reply is left to the caller.
        """
        ...

    async def update_group(self, request: svc_pb2.GroupUpdateReq, *, timeout: float) -> int:  # noqa: ASYNC109
        """GROUP_UPDATE to one ready local engine whose rank is among `request.engines`; the reply's status.

        Raises as `call` does, EngineNotReadyError also where no ready local engine is in the map: DAOS's engine
        kills itself when it gets a map without its own rank. Never called twice at the same time.
        """
        ...


class RankControl(Protocol):
    """The servers of the system, asked to do something with their own ranks (CtlSvc).

    `address` is a control address "ip:port". Each call returns one result per rank asked for and raises a Fault,
    ControlError, OSError or TimeoutError where the host as a whole could not be asked.
    """

    async def prep_shutdown(self, address: str, ranks: RankSet, *, timeout: float) -> Sequence[RankResult]: ...  # noqa: ASYNC109

    async def stop(
        self,
        address: str,
        ranks: RankSet,
        *,
        force: bool,
        timeout: float,  # noqa: ASYNC109
    ) -> Sequence[RankResult]: ...

    async def start(
        self,
        address: str,
        ranks: RankSet,
        *,
        check_mode: bool,
        timeout: float,  # noqa: ASYNC109
    ) -> Sequence[RankResult]: ...

    async def reset_format(self, address: str, ranks: RankSet, *, timeout: float) -> Sequence[RankResult]: ...  # noqa: ASYNC109
