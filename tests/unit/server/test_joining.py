"""Asking to be let in: as long as the service cannot answer, and not a moment longer than it refuses."""

import asyncio
from typing import Any

import pytest

from daos_control.client import ms
from daos_control.client.connection import Client
from daos_control.client.errors import ManagementServiceUnreachableError
from daos_control.faults import (
    ControlError,
    Fault,
    NotLeaderError,
    NotReplicaError,
    SystemUnavailableError,
    SystemUninitializedError,
)
from daos_control.faults import client as client_faults
from daos_control.faults.core import RAFT_UNAVAILABLE, STEP_UP_IN_PROGRESS
from daos_control.faults.server import rank_admin_excluded
from daos_control.proto.mgmt import svc_pb2
from daos_control.server.joining import GrpcJoiner, JoinRequest, Verdict, may_answer_later

REQUEST = JoinRequest(
    uuid="u",
    rank=None,
    uri="ofi+tcp://1.2.3.4:1",
    contexts=2,
    fault_domain="/h",
    index=1,
    incarnation=9,
    replace=True,
)

LATER: list[Exception] = [
    SystemUninitializedError(),
    SystemUnavailableError(RAFT_UNAVAILABLE),
    SystemUnavailableError(STEP_UP_IN_PROGRESS),
    ManagementServiceUnreachableError(client_faults.connection_refused("a:1")),
    ManagementServiceUnreachableError(client_faults.connection_closed("a:1")),
    client_faults.rpc_timeout("Join", 10),
    NotLeaderError("", ()),
    NotReplicaError(()),
    TimeoutError(),
]
NEVER: list[Exception] = [
    rank_admin_excluded("1", 1),
    ControlError("uuid changed"),
    ManagementServiceUnreachableError(client_faults.connection_bad_host("a:1")),
    ValueError(),
]


@pytest.mark.parametrize("error", LATER, ids=repr)
def test_what_says_nothing_about_the_engine_is_asked_again(error: Exception) -> None:
    assert may_answer_later(error)


@pytest.mark.parametrize("error", NEVER, ids=repr)
def test_a_refusal_is_final(error: Exception) -> None:
    assert not may_answer_later(error)


class Script:
    """Stands in for the wire: `answers` in turn; what was sent."""

    def __init__(self, *answers: Exception | svc_pb2.JoinResp) -> None:
        self.answers = list(answers)
        self.sent: list[svc_pb2.JoinReq] = []
        self.asked = asyncio.Event()

    async def __call__(
        self, client: Client, method: Any, request: svc_pb2.JoinReq, **_how: Any
    ) -> svc_pb2.JoinResp:
        self.sent.append(request)
        self.asked.set()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def joiner(monkeypatch: pytest.MonkeyPatch, script: Script) -> GrpcJoiner:
    monkeypatch.setattr(ms, "invoke", script)
    return GrpcJoiner(Client(None, hosts=["h"], system="sys"), address="0.0.0.0:10001", spread=lambda: 0.5)


@pytest.mark.asyncio
async def test_it_is_let_in_once_the_service_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daos_control.server.joining.PAUSE_SECONDS_MIN", 0.0)
    granted = svc_pb2.JoinResp(rank=3, map_version=8)
    script = Script(*LATER, granted)
    reply = await joiner(monkeypatch, script).join(REQUEST)
    assert (reply.rank, reply.verdict, reply.map_version) == (3, Verdict.IN, 8)
    assert len(script.sent) == len(LATER) + 1
    sent = script.sent[0]
    assert (sent.rank, sent.uuid, sent.uri, sent.nctxs) == (0xFFFFFFFF, "u", "ofi+tcp://1.2.3.4:1", 2)
    assert (sent.addr, sent.srvFaultDomain, sent.idx, sent.incarnation) == ("0.0.0.0:10001", "/h", 1, 9)
    assert sent.replace
    assert sent.sys == "sys-2.8.0"


@pytest.mark.asyncio
async def test_a_refusal_is_raised_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fault) as caught:
        await joiner(monkeypatch, Script(rank_admin_excluded("1", 1))).join(REQUEST)
    assert caught.value == rank_admin_excluded("1", 1)


@pytest.mark.asyncio
async def test_a_nudge_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daos_control.server.joining.PAUSE_SECONDS_MIN", 3600.0)
    script = Script(SystemUninitializedError(), svc_pb2.JoinResp(rank=1))
    asking = joiner(monkeypatch, script)
    task = asyncio.create_task(asking.join(REQUEST))
    await asyncio.wait_for(script.asked.wait(), 10)
    asking.nudge()
    assert (await asyncio.wait_for(task, 10)).rank == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (svc_pb2.JoinResp.IN, Verdict.IN),
        (svc_pb2.JoinResp.OUT, Verdict.OUT),
        (svc_pb2.JoinResp.CHECK, Verdict.CHECK),
    ],
)
async def test_verdicts(monkeypatch: pytest.MonkeyPatch, state: Any, verdict: Verdict) -> None:
    reply = await joiner(monkeypatch, Script(svc_pb2.JoinResp(rank=1, state=state))).join(REQUEST)
    assert reply.verdict is verdict
