"""Calls of the engine to its server: ready, events, questions."""

import asyncio
import os
from datetime import datetime
from pathlib import Path

from daos_control import drpc
from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.engine.errors import StartError
from daos_control.engine.log import facility
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto.mgmt import system_pb2
from daos_control.proto.shared import event_pb2
from daos_control.proto.srv import srv_pb2
from daos_control.system.events import RasId, RasType, Severity

CALL_SECONDS = 60.0
EVENT_TRIES = 5
_RETRY_SECONDS_MIN = 0.05
_RETRY_SECONDS_MAX = 1.0

_log = facility("drpc")


def _timestamp() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S.%f%z")


class Server:
    """The server that started this engine, behind its socket."""

    def __init__(self, socket_dir: Path, group: str) -> None:
        self.path = socket_dir / "daos_server.sock"
        self._group = group

    async def notify_ready(self, request: srv_pb2.NotifyReadyReq, seconds: float) -> None:
        """Tell the server that this engine can be given its rank; retried while nobody listens.

        Raises StartError where the server refuses, or does not answer within `seconds`.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        pause = _RETRY_SECONDS_MIN
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                await drpc.call(self.path, Method.NOTIFY_READY, request, timeout=max(left, 0.1))
                return
            except DrpcStatusError as error:
                raise StartError(f"server at {self.path} refused NotifyReady: {error}") from error
            except (OSError, TimeoutError, FramingError) as error:
                reason = str(error) or type(error).__name__
            if left - pause <= 0:
                raise StartError(f"no server answers NotifyReady at {self.path} within {seconds:g} s: {reason}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _RETRY_SECONDS_MAX)

    async def system_properties(self, *names: str) -> dict[str, str]:
        """Properties of the system. Raises DaosError PROTO where the server does not give them, as daos_engine."""
        request = system_pb2.SystemGetPropReq(sys=self._group, keys=names)
        try:
            reply = await drpc.call(self.path, Method.GET_SYS_PROPS, request, timeout=CALL_SECONDS)
        except (OSError, TimeoutError, FramingError, DrpcStatusError) as error:
            raise DaosError(Status.PROTO, f"server does not give {', '.join(names)}: {error}") from error
        if not isinstance(reply, system_pb2.SystemGetPropResp):
            raise DaosError(Status.PROTO, "server answered something else")
        return dict(reply.properties)

    async def pool_replicas_updated(self, rank: int, uuid: str, ranks: tuple[int, ...], version: int) -> None:
        event = _event(RasId.POOL_REPLICAS_UPDATED, "List of pool service replica ranks has been updated.", rank)
        event.type = RasType.STATE_CHANGE
        event.pool_uuid = uuid
        event.pool_svc_info.svc_reps.extend(ranks)
        event.pool_svc_info.version = version
        await self._publish(event)

    async def rank_dead(self, rank: int, incarnation: int) -> None:
        event = _event(RasId.SWIM_RANK_DEAD, "SWIM marked rank as dead.", rank)
        event.type = RasType.STATE_CHANGE
        event.incarnation = incarnation
        await self._publish(event)

    async def self_terminated(self, rank: int, incarnation: int) -> None:
        """The last word of an engine that found itself excluded: tried once, and not for long."""
        event = _event(RasId.ENGINE_SELF_TERMINATED, "excluded rank self terminated detected", rank)
        event.type = RasType.INFO
        event.incarnation = incarnation
        await self._publish(event, tries=1, seconds=2.0)

    async def _publish(
        self, event: event_pb2.RASEvent, *, tries: int = EVENT_TRIES, seconds: float = CALL_SECONDS
    ) -> None:
        """Give an event to the server; one that cannot be given is logged and lost."""
        _log.info(
            "event %s rank %d pool %s: %s", RasId(event.id).name, event.rank, event.pool_uuid or "-", event.msg
        )
        pause = _RETRY_SECONDS_MIN
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _RETRY_SECONDS_MAX)
            try:
                request = event_pb2.ClusterEventReq(event=event)
                await drpc.call(self.path, Method.CLUSTER_EVENT, request, timeout=seconds)
                return
            except (OSError, TimeoutError, FramingError, DrpcStatusError) as error:
                reason = str(error) or type(error).__name__
        _log.error("event %s could not be given to the server: %s", RasId(event.id).name, reason)


def _event(identity: RasId, message: str, rank: int) -> event_pb2.RASEvent:
    return event_pb2.RASEvent(
        id=identity,
        msg=message,
        timestamp=_timestamp(),
        severity=Severity.NOTICE,
        hostname=os.uname().nodename,
        rank=rank,
        proc_id=os.getpid(),
    )
