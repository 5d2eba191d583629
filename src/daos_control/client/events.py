"""Events that a server forwards to the leader of the management service."""

import itertools
from collections.abc import Sequence
from typing import Final

from daos_control.client import ms
from daos_control.client.connection import DEFAULT_TIMEOUT_SECONDS, Client, mgmt
from daos_control.faults import DaosError
from daos_control.messages import events
from daos_control.proto.shared import event_pb2
from daos_control.system.events import RasEvent

CLUSTER_EVENT = mgmt("ClusterEvent", event_pb2.ClusterEventReq, event_pb2.ClusterEventResp)


class EventForwarder:
    """Sends events to the replicas in turn, numbered from 1; `client` is of component "server"."""

    def __init__(self, client: Client, replicas: Sequence[str]) -> None:
        self._client: Final = client
        self._replicas: Final = tuple(replicas)
        self._sequence: Final = itertools.count(1)

    async def forward(self, event: RasEvent, *, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> None:  # noqa: ASYNC109
        """Return once the leader has taken the event. Raises what it answered, or that nobody was there."""
        await cluster_event(self._client, event, next(self._sequence), replicas=self._replicas, timeout=timeout)


async def cluster_event(
    client: Client,
    event: RasEvent,
    sequence: int,
    *,
    replicas: Sequence[str],
    timeout: float = DEFAULT_TIMEOUT_SECONDS,  # noqa: ASYNC109
) -> None:
    """Forward one event; `sequence` (from 1) tells the leader's answers apart."""
    request = event_pb2.ClusterEventReq(sequence=sequence, event=events.to_proto(event))
    reply = await ms.invoke(client, CLUSTER_EVENT, request, hosts=replicas, timeout=timeout)
    if reply.status:
        raise DaosError(reply.status)
