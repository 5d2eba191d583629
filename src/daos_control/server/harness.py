"""All engines of this server."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.faults import Code, ControlError, Fault
from daos_control.faults.server import data_plane_not_started, harness_not_started
from daos_control.ms.edges import EngineNotReadyError
from daos_control.proto.mgmt import svc_pb2
from daos_control.server.instance import Instance, Stop
from daos_control.system.ranks import RankSet

log = logging.getLogger(__name__)


class Harness:
    """Runs the engines side by side, and is the management service's way to them (`ms.edges.LocalEngines`).

    `targets` is the number of targets per engine, equal for all of them.
    """

    def __init__(self, *, targets: int) -> None:
        self._targets: Final = targets
        self._instances: list[Instance] = []
        self._started = False
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, instance: Instance) -> None:
        """In the order of their indices, before `run`."""
        if instance.index != len(self._instances):
            raise ValueError(f"engine {instance.index} added as number {len(self._instances)}")
        self._instances.append(instance)

    @property
    def instances(self) -> Sequence[Instance]:
        return self._instances

    def of_ranks(self, ranks: RankSet) -> list[Instance]:
        """The engines here that have one of `ranks`; ranks of other servers are nobody's here."""
        return [instance for instance in self._instances if instance.rank is not None and instance.rank in ranks]

    # Running

    @property
    def started(self) -> bool:
        return self._started

    async def run(self) -> None:
        """Start every engine and serve their control loops until `close`; when cancelled, kills them."""
        self._started = True
        try:
            async with asyncio.TaskGroup() as group:
                for instance in self._instances:
                    instance.request_start()
                    group.create_task(instance.run(), name=f"engine {instance.index}")
        finally:
            self._started = False

    async def close(self, how: Stop) -> None:
        """Stop every engine for good; `run` returns then."""
        self._started = False
        async with asyncio.TaskGroup() as group:
            for instance in self._instances:
                group.create_task(instance.close(how))

    # ms.edges.LocalEngines

    @property
    def targets(self) -> int:
        return self._targets

    @property
    def has_bdevs(self) -> bool:
        return any(instance.storage.bdevs for instance in self._instances)

    @property
    def md_on_ssd(self) -> bool:
        return any(instance.storage.has_meta_role for instance in self._instances)

    def ready_ranks(self) -> frozenset[int]:
        return frozenset(i.rank for i in self._instances if i.is_ready and i.rank is not None)

    async def wait_ready(self) -> None:
        while not any(instance.is_ready for instance in self._instances):
            ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(ready)
            try:
                await ready
            finally:
                self._waiters.discard(ready)

    def engine_ready(self) -> None:
        """An engine was set up: whoever waits for one may look."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        """To the first engine, in the order of their indices, that can take it: one that runs and is set up.

        An error of a call that may have reached its engine is final: another engine must not do the same again.
        """
        self._check_started()
        refusal: Exception = data_plane_not_started()
        for instance in self._instances:
            try:
                return await instance.call(method, request, timeout=timeout)
            except EngineNotReadyError as error:
                refusal = error
            except Fault as fault:
                if fault.code != Code.SERVER_DATA_PLANE_NOT_STARTED:
                    raise
            log.debug("engine %d cannot take %s now", instance.index, method.name)
        raise refusal

    async def update_group(self, request: svc_pb2.GroupUpdateReq, *, timeout: float) -> int:  # noqa: ASYNC109
        self._check_started()
        members = {engine.rank for engine in request.engines}
        for instance in self._instances:
            if instance.is_ready and instance.rank in members:
                with contextlib.suppress(EngineNotReadyError):
                    reply = await instance.call(Method.GROUP_UPDATE, request, timeout=timeout)
                    assert isinstance(reply, svc_pb2.GroupUpdateResp)
                    return reply.status
        raise EngineNotReadyError("no ready engine of this server is in the group map")

    def _check_started(self) -> None:
        if not self._started:
            raise harness_not_started()
        if not self._instances:
            raise ControlError("no engine instances to service drpc call")
