"""CtlSvc for the ranks of this host: prepare to stop, stop, start, give up their format.

Every call answers before its deadline, with one result for each rank asked for that lives here; ranks of other
hosts are left out, as the caller asks their own hosts.
"""

import asyncio
import signal as signals
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import grpc

from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.faults import ControlError, Fault
from daos_control.faults.server import instances_not_stopped
from daos_control.faults.status import describe
from daos_control.messages import results as result_messages
from daos_control.proto.ctl import ranks_pb2
from daos_control.proto.mgmt import svc_pb2
from daos_control.server.harness import Harness
from daos_control.server.instance import KILL, STOP_SECONDS, Instance, Stop
from daos_control.server.instance_state import State
from daos_control.server.restarts import Restarter
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult, failed
from daos_control.system.state import MemberState

DEADLINE_SECONDS = 300.0  # where the caller has none
MARGIN_SECONDS_MAX = 5.0
MARGIN_SHARE = 0.2

Context = grpc.aio.ServicerContext[Any, Any]


class RankHandlers:
    """The four methods; `restarter` forgets its plans for ranks that a person stops or starts."""

    def __init__(self, harness: Harness, restarter: Restarter) -> None:
        self._harness: Final = harness
        self._restarter: Final = restarter

    async def prep_shutdown(self, request: ranks_pb2.RanksReq, context: Context) -> ranks_pb2.RanksResp:
        """Tell engines that they are about to be stopped; one that is not ready needs no telling."""
        asked = self._asked_for(request)
        seconds, margin = budget(context)
        return _reply(await asyncio.gather(*(_prepare(rank, i, seconds - margin) for rank, i in asked.items())))

    async def stop(self, request: ranks_pb2.RanksReq, context: Context) -> ranks_pb2.RanksResp:
        """In order, or by SIGKILL where forced. What has not stopped shortly before the deadline is killed, too."""
        asked = self._asked_for(request)
        seconds, margin = budget(context)
        self._restarter.forget(asked)
        stops = [(i, KILL if request.force else _patiently(i, seconds - margin)) for i in asked.values()]
        await _within(seconds - margin / 2, *(instance.stop(how) for instance, how in stops))
        return _reply([_outcome(r, i, "stop", State.STOPPED, "rank failed to stop") for r, i in asked.items()])

    async def start(self, request: ranks_pb2.RanksReq, context: Context) -> ranks_pb2.RanksResp:
        """Returns when all are ready, or as soon as it is certain that those missing will not be."""
        asked = self._asked_for(request)
        seconds, margin = budget(context)
        self._restarter.forget(asked)
        for instance in asked.values():
            instance.checker = request.check_mode
        await _within(seconds - margin, *(_settled(i, lambda engine: engine.is_ready) for i in asked.values()))
        return _reply([_outcome(r, i, "start", State.READY, "rank failed to start") for r, i in asked.items()])

    async def reset_format(self, request: ranks_pb2.RanksReq, context: Context) -> ranks_pb2.RanksResp:
        """Remove the superblocks, so that the engines await a format. Fault 612 where one of them runs: then none
        is touched."""
        asked = self._asked_for(request)
        seconds, margin = budget(context)
        for rank, instance in asked.items():
            if instance.state is not State.STOPPED:
                raise instances_not_stopped("reset format", rank)
        for instance in asked.values():
            await instance.forget()
        await _within(
            seconds - margin,
            *(_settled(i, lambda engine: engine.state is State.AWAIT_FORMAT) for i in asked.values()),
        )
        return _reply([_awaits_format(rank, instance) for rank, instance in asked.items()])

    def _asked_for(self, request: ranks_pb2.RanksReq) -> dict[int, Instance]:
        """The engines by their ranks: an engine may lose its rank in what follows."""
        ranks = RankSet.parse(request.ranks)
        if not ranks:
            raise ControlError("no ranks specified in request")
        return {i.rank: i for i in self._harness.of_ranks(ranks) if i.rank is not None}


def budget(context: Context) -> tuple[float, float]:
    """Seconds until the caller's deadline, and how many of them to leave for the answer."""
    remaining = context.time_remaining()
    seconds = DEADLINE_SECONDS if remaining is None else max(float(remaining), 0.0)
    return seconds, min(MARGIN_SECONDS_MAX, seconds * MARGIN_SHARE)


def _patiently(instance: Instance, seconds: float) -> Stop:
    """An engine that serves pools may take the time there is; one that was never set up has nothing to finish."""
    return Stop(signals.SIGINT, kill_after=seconds if instance.is_ready else min(seconds, STOP_SECONDS))


async def _prepare(rank: int, instance: Instance, seconds: float) -> RankResult:
    action = "prep shutdown"
    if not instance.is_ready:
        return RankResult(rank, action, MemberState.STOPPED)
    try:
        reply = await instance.call(Method.PREP_SHUTDOWN, None, timeout=seconds)
    except TimeoutError:
        return failed(rank, action, "context deadline exceeded", MemberState.UNRESPONSIVE)
    except (OSError, Fault, ControlError, FramingError, DrpcStatusError) as error:
        return failed(rank, action, f"rank {rank} dRPC failed: {error}")
    assert isinstance(reply, svc_pb2.DaosResp)
    if reply.status != 0:
        return failed(rank, action, f"rank {rank}: {describe(reply.status)}")
    return RankResult(rank, action, MemberState.STOPPING)


async def _settled(instance: Instance, goal: Callable[[Instance], bool]) -> None:
    """Start it; return when it is at its goal, or when this start has come to nothing."""
    begun = instance.state not in (State.STOPPED, State.STOPPING)
    life = instance.lives + (0 if begun else 1)
    instance.request_start()

    def settled(engine: Instance) -> bool:
        if goal(engine) or engine.state is State.AWAIT_FORMAT:
            return True
        return engine.lives >= life and engine.state is State.STOPPED and not engine.start_pending

    await instance.wait_until(settled)


async def _within(seconds: float, *waits: Coroutine[Any, Any, None]) -> None:
    """All of them, side by side; what is not done after `seconds` is not waited for any longer."""
    if not waits:
        return
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=max(seconds, 0.0))
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _outcome(rank: int, instance: Instance, action: str, goal: State, failure: str) -> RankResult:
    if instance.state is goal and (goal is not State.READY or instance.is_ready):
        return RankResult(rank, action, goal.member_state, message=f"system {action}")
    return failed(rank, action, f"system {action}: {failure}{_why(instance)}")


def _awaits_format(rank: int, instance: Instance) -> RankResult:
    state = instance.state.member_state
    if state is MemberState.AWAIT_FORMAT:
        return RankResult(rank, "reset format", state)
    text = f"want {MemberState.AWAIT_FORMAT.wire_name}, got {state.wire_name}{_why(instance)}"
    return failed(rank, "reset format", text)


def _why(instance: Instance) -> str:
    if instance.state is State.AWAIT_FORMAT:
        return ": its storage must be formatted"
    return f": {instance.last_error}" if instance.last_error is not None else ""


def _reply(results: Sequence[RankResult]) -> ranks_pb2.RanksResp:
    return ranks_pb2.RanksResp(results=result_messages.to_protos(results))
