"""Letting an engine into the system: what is asked of the management service, and how long it is asked again."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from daos_control.client import ms, retry
from daos_control.client.connection import Client, mgmt
from daos_control.client.errors import (
    ManagementServiceUnreachableError,
    is_retryable_connection_error,
    is_timeout,
    is_unavailable,
    is_uninitialized,
)
from daos_control.faults import NotLeaderError, NotReplicaError
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.member import NIL_RANK

log = logging.getLogger(__name__)

JOIN: Final = mgmt("Join", svc_pb2.JoinReq, svc_pb2.JoinResp)
TRY_SECONDS = 10.0
PAUSE_SECONDS_MIN = 0.05
PAUSE_SECONDS_MAX = 2.0

# The management service's own pauses are too long for a start that should take less than a second.
_POLICY: Final = retry.Policy(gives_up=is_unavailable)


class Verdict(Enum):
    """What the system made of the engine."""

    IN = "in"
    OUT = "out"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """An engine that wants in.

    `rank` is None for one that has none yet; `replace` asks to take the place of a lost engine of the same address.
    """

    uuid: str
    rank: int | None
    uri: str
    contexts: int
    fault_domain: str
    index: int
    incarnation: int
    secondary_uris: tuple[str, ...] = ()
    secondary_contexts: tuple[int, ...] = ()
    check_mode: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class JoinReply:
    """`map_version` is that of the group map which has the engine in it."""

    rank: int
    verdict: Verdict
    map_version: int


class Joiner(Protocol):
    """Asks the management service on behalf of an engine."""

    async def join(self, request: JoinRequest) -> JoinReply:
        """Waits as long as the service cannot answer; raises its refusal (a Fault or ControlError)."""
        ...


class GrpcJoiner:
    """Joins by gRPC at the replicas of the management service, this server's own included.

    `address` is this server's control address "ip:port". `nudge` says that asking again at once may help: the
    service of this server has become able to answer.
    """

    def __init__(self, client: Client, *, address: str, spread: Callable[[], float] = random.random) -> None:
        self._client: Final = client
        self._address: Final = address
        self._spread: Final = spread
        self._nudges: set[asyncio.Event] = set()

    def nudge(self) -> None:
        for event in self._nudges:
            event.set()

    async def join(self, request: JoinRequest) -> JoinReply:
        message = _to_message(request, system=self._client.request_name, address=self._address)
        pause = PAUSE_SECONDS_MIN
        nudged = asyncio.Event()
        self._nudges.add(nudged)
        told = ""
        try:
            while True:
                try:
                    reply = await ms.invoke(
                        self._client, JOIN, message, policy=_POLICY, timeout=TRY_SECONDS, try_timeout=TRY_SECONDS
                    )
                except Exception as error:
                    if not may_answer_later(error):
                        raise
                    level = logging.DEBUG if str(error) == told else logging.INFO
                    log.log(level, "engine %d: waiting to be let in: %s", request.index, error)
                    told = str(error)
                else:
                    return _from_message(reply)
                try:
                    await asyncio.wait_for(nudged.wait(), pause * (0.5 + self._spread()))
                    pause = PAUSE_SECONDS_MIN
                except TimeoutError:
                    pause = min(pause * 2, PAUSE_SECONDS_MAX)
                nudged.clear()
        finally:
            self._nudges.discard(nudged)


def may_answer_later(error: Exception) -> bool:
    """Whether a failed try to join says nothing about the engine, only about the service."""
    if isinstance(error, ManagementServiceUnreachableError):
        error = error.cause
    return (
        isinstance(error, (NotLeaderError, NotReplicaError, retry.NoResponseError))
        or is_retryable_connection_error(error)
        or is_timeout(error)
        or is_unavailable(error)
        or is_uninitialized(error)
    )


def _to_message(request: JoinRequest, *, system: str, address: str) -> svc_pb2.JoinReq:
    return svc_pb2.JoinReq(
        sys=system,
        uuid=request.uuid,
        rank=NIL_RANK if request.rank is None else request.rank,
        uri=request.uri,
        nctxs=request.contexts,
        addr=address,
        srvFaultDomain=request.fault_domain,
        idx=request.index,
        incarnation=request.incarnation,
        secondary_uris=request.secondary_uris,
        secondary_nctxs=request.secondary_contexts,
        check_mode=request.check_mode,
        replace=request.replace,
    )


_VERDICTS: Final = {
    svc_pb2.JoinResp.IN: Verdict.IN,
    svc_pb2.JoinResp.OUT: Verdict.OUT,
    svc_pb2.JoinResp.CHECK: Verdict.CHECK,
}


def _from_message(reply: svc_pb2.JoinResp) -> JoinReply:
    return JoinReply(
        rank=reply.rank, verdict=_VERDICTS.get(reply.state, Verdict.OUT), map_version=reply.map_version
    )
