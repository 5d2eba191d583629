"""All engines of a server: the calls about ranks, the management service's way to engines, their upcalls."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any, cast

import pytest

from daos_control import drpc
from daos_control.config.models import EngineConfig
from daos_control.drpc import DrpcStatus, DrpcStatusError, Method
from daos_control.faults import Code, ControlError, Fault
from daos_control.ms.edges import EngineNotReadyError
from daos_control.proto.ctl import ranks_pb2, server_pb2
from daos_control.proto.mgmt import svc_pb2, system_pb2
from daos_control.proto.security import auth_pb2
from daos_control.proto.shared import event_pb2
from daos_control.proto.srv import srv_pb2
from daos_control.server.ctl_log_masks import LogMaskHandler
from daos_control.server.ctl_ranks import RankHandlers
from daos_control.server.instance import KILL
from daos_control.server.instance_state import State
from daos_control.server.restarts import Restarter
from daos_control.system.events import RasId
from fakes.fake_server_site import PATIENCE_SECONDS, Site, site

pytestmark = pytest.mark.asyncio


class Deadline:
    """As much of a ServicerContext as the handlers use."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def time_remaining(self) -> float:
        return self._end - time.monotonic()


def within(seconds: float = PATIENCE_SECONDS) -> Any:
    return cast("Any", Deadline(seconds))


def handlers(made: Site) -> RankHandlers:
    return RankHandlers(made.harness, Restarter(enabled=False, min_seconds=1))


async def all_ready(made: Site) -> None:
    for index in range(len(made.ways)):
        await made.until(lambda i: i.is_ready, index)


def told(reply: ranks_pb2.RanksResp) -> list[tuple[int, str, bool]]:
    return [(result.rank, result.state, result.errored) for result in reply.results]


# Ranks


async def test_stop_reports_each_rank_of_this_host_and_leaves_out_others(tmp_path: Path) -> None:
    async with site(tmp_path, "", "", joined=True) as made:
        await all_ready(made)
        reply = await handlers(made).stop(ranks_pb2.RanksReq(ranks="0-6"), within())
        assert told(reply) == [(5, "stopped", False), (6, "stopped", False)]
        assert {result.msg for result in reply.results} == {"system stop"}
        assert made.watcher.deaths == []
        reply = await handlers(made).stop(ranks_pb2.RanksReq(ranks="5"), within())
        assert told(reply) == [(5, "stopped", False)]


async def test_stop_kills_shortly_before_its_deadline_what_did_not_stop(tmp_path: Path) -> None:
    async with site(tmp_path, "stubborn", joined=True) as made:
        await all_ready(made)
        deadline = within(1.0)
        reply = await handlers(made).stop(ranks_pb2.RanksReq(ranks="5"), deadline)
        assert deadline.time_remaining() > 0
        assert told(reply) == [(5, "stopped", False)]


async def test_a_forced_stop_does_not_ask(tmp_path: Path) -> None:
    async with site(tmp_path, "stubborn", joined=True) as made:
        await all_ready(made)
        reply = await handlers(made).stop(ranks_pb2.RanksReq(ranks="5", force=True), within(3600))
        assert told(reply) == [(5, "stopped", False)]


async def test_start_brings_stopped_ranks_back_and_leaves_running_ones(tmp_path: Path) -> None:
    async with site(tmp_path, "", "", joined=True) as made:
        await all_ready(made)
        await made.instance.stop(KILL)
        reply = await handlers(made).start(ranks_pb2.RanksReq(ranks="5-6"), within())
        assert told(reply) == [(5, "ready", False), (6, "ready", False)]
        assert {result.msg for result in reply.results} == {"system start"}
        assert [instance.lives for instance in made.harness.instances] == [2, 1]


async def test_a_start_that_fails_is_reported_at_once_with_the_reason(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await all_ready(made)
        await made.instance.stop(KILL)
        made.ways[0] = "exit-at-once"
        reply = await handlers(made).start(ranks_pb2.RanksReq(ranks="5"), within(3600))
        assert told(reply) == [(5, "errored", True)]
        assert reply.results[0].msg.startswith("system start: rank failed to start: ")
        assert "exit status 3" in reply.results[0].msg


async def test_a_start_that_takes_too_long_is_reported_before_the_deadline(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await all_ready(made)
        await made.instance.stop(KILL)
        made.ways[0] = "mute"
        deadline = within(0.5)
        reply = await handlers(made).start(ranks_pb2.RanksReq(ranks="5"), deadline)
        assert deadline.time_remaining() > 0
        assert told(reply) == [(5, "errored", True)]


async def test_start_in_check_mode_starts_the_engine_as_checker(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await all_ready(made)
        await made.instance.stop(KILL)
        await handlers(made).start(ranks_pb2.RanksReq(ranks="5", check_mode=True), within())
        assert [request.check_mode for request in made.joiner.requests] == [False, True]


async def test_prep_shutdown_tells_ready_engines_only(tmp_path: Path) -> None:
    async with site(tmp_path, "", "", joined=True) as made:
        await all_ready(made)
        await made.harness.instances[1].stop(KILL)
        reply = await handlers(made).prep_shutdown(ranks_pb2.RanksReq(ranks="5-6"), within())
        assert told(reply) == [(5, "stopping", False), (6, "stopped", False)]
        assert made.engine_log(0)[-1] == "prep_shutdown"
        assert "prep_shutdown" not in made.engine_log(1)


async def test_prep_shutdown_of_a_hanging_engine_is_unresponsive_before_the_deadline(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await all_ready(made)
        pid = made.instance.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        deadline = within(0.5)
        reply = await handlers(made).prep_shutdown(ranks_pb2.RanksReq(ranks="5"), deadline)
        assert deadline.time_remaining() > 0
        assert told(reply) == [(5, "unresponsive", True)]


async def test_reset_format_refuses_while_an_engine_runs_and_touches_none(tmp_path: Path) -> None:
    async with site(tmp_path, "", "", joined=True) as made:
        await all_ready(made)
        await made.instance.stop(KILL)
        with pytest.raises(Fault) as caught:
            await handlers(made).reset_format(ranks_pb2.RanksReq(ranks="5-6"), within())
        assert caught.value.code == Code.SERVER_INSTANCES_NOT_STOPPED
        assert made.instance.storage.superblock_path.is_file()


async def test_after_a_reset_engines_await_a_format_as_nobody(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await all_ready(made)
        await made.instance.stop(KILL)
        reply = await handlers(made).reset_format(ranks_pb2.RanksReq(ranks="5"), within())
        assert told(reply) == [(5, "awaitformat", False)]
        assert made.instance.rank is None
        old = made.joiner.requests[0].uuid
        made.instance.notify_storage_ready()
        await all_ready(made)
        assert made.joiner.requests[-1].uuid != old
        assert made.joiner.requests[-1].rank is None


async def test_an_empty_set_of_ranks_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        answers = handlers(made)
        for method in (answers.prep_shutdown, answers.stop, answers.start, answers.reset_format):
            with pytest.raises(ControlError, match="no ranks"):
                await method(ranks_pb2.RanksReq(), within())


async def test_log_masks_go_to_each_engine_with_its_own_outcome(tmp_path: Path) -> None:
    engine = EngineConfig(log_mask="INFO,MISC=DEBUG", env_vars=["DD_SUBSYS=misc", "DD_MASK=mgmt"])
    async with site(tmp_path, "", "", joined=True) as made:
        await all_ready(made)
        await made.harness.instances[1].stop(KILL)
        masks = LogMaskHandler(made.harness, [engine, engine], {})
        request = server_pb2.SetLogMasksReq(reset_masks=True, reset_streams=True, reset_subsystems=True)
        reply = await masks.set_masks(request, within())
        assert made.engine_log(0)[-1] == "set_log_masks ERR,misc=INFO"
        assert reply.errors[0] == ""
        assert "code = 611" in reply.errors[1]
        reply = await masks.set_masks(server_pb2.SetLogMasksReq(), within())
        assert reply.errors[0] == "empty log masks in request"


# The management service's way to engines


async def test_calls_go_to_the_first_engine_that_is_ready(tmp_path: Path) -> None:
    async with site(tmp_path, "", "", joined=True) as made:
        await asyncio.wait_for(made.harness.wait_ready(), PATIENCE_SECONDS)
        await all_ready(made)
        assert made.harness.ready_ranks() == {5, 6}
        await made.harness.call(Method.PREP_SHUTDOWN, None, timeout=PATIENCE_SECONDS)
        assert made.engine_log(0)[-1] == "prep_shutdown"
        await made.instance.stop(KILL)
        await made.harness.call(Method.PREP_SHUTDOWN, None, timeout=PATIENCE_SECONDS)
        assert made.engine_log(1)[-1] == "prep_shutdown"
        await made.harness.instances[1].stop(KILL)
        with pytest.raises(Fault) as caught:
            await made.harness.call(Method.PREP_SHUTDOWN, None, timeout=1)
        assert caught.value.code == Code.SERVER_DATA_PLANE_NOT_STARTED


async def test_an_engine_that_runs_and_is_not_ready_is_told_apart_from_none(tmp_path: Path) -> None:
    async with site(tmp_path, "mute", joined=True) as made:
        await made.until(lambda i: i.state is State.STARTING)
        with pytest.raises(EngineNotReadyError):
            await made.harness.call(Method.PREP_SHUTDOWN, None, timeout=1)
    with pytest.raises(Fault) as caught:
        await made.harness.call(Method.PREP_SHUTDOWN, None, timeout=1)
    assert caught.value.code == Code.SERVER_HARNESS_NOT_STARTED


async def test_a_group_map_goes_only_to_an_engine_that_is_in_it(tmp_path: Path) -> None:
    async with site(tmp_path, "", "", joined=True) as made:
        await all_ready(made)

        def group(*ranks: int) -> svc_pb2.GroupUpdateReq:
            engines = [svc_pb2.GroupUpdateReq.Engine(rank=rank, uri="x") for rank in ranks]
            return svc_pb2.GroupUpdateReq(map_version=9, engines=engines)

        assert await made.harness.update_group(group(6, 7), timeout=PATIENCE_SECONDS) == 0
        assert "group_update 9" not in made.engine_log(0)
        assert made.engine_log(1)[-1] == "group_update 9"
        with pytest.raises(EngineNotReadyError):
            await made.harness.update_group(group(7), timeout=PATIENCE_SECONDS)


# Restarts


async def test_an_engine_that_ended_itself_is_restarted_and_one_that_crashed_is_not(tmp_path: Path) -> None:
    async with site(tmp_path, "self-terminate", joined=True) as made:
        restarter = Restarter(enabled=True, min_seconds=3600)
        running = asyncio.create_task(restarter.run())
        try:
            await all_ready(made)
            engines = [svc_pb2.GroupUpdateReq.Engine(rank=5, uri="x")]
            request = svc_pb2.GroupUpdateReq(map_version=1, engines=engines)
            with pytest.raises(drpc.FramingError):
                await made.harness.update_group(request, timeout=PATIENCE_SECONDS)
            assert [event.id for event in made.events] == [RasId.ENGINE_SELF_TERMINATED]
            restarter.self_terminated(5, made.instance)
            await made.until(lambda i: i.lives == 2 and i.is_ready)
            assert len(made.watcher.deaths) == 1

            # again, too early: planned; and a manual stop cancels the plan
            restarter.self_terminated(5, made.instance)
            await made.instance.stop(KILL)
            restarter.forget([5])
            made.instance.request_start()
            await made.until(lambda i: i.lives == 3 and i.is_ready)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


# Upcalls


async def call(made: Site, method: Method, request: Any) -> Any:
    return await drpc.call(made.path / "daos_server.sock", method, request, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("request_", [
    srv_pb2.NotifyReadyReq(instanceIdx=7, drpcListenerSock="daos_server.sock"),
    srv_pb2.NotifyReadyReq(),
    srv_pb2.NotifyReadyReq(drpcListenerSock="missing.sock"),
    srv_pb2.NotifyReadyReq(drpcListenerSock="."),
])  # fmt: skip
async def test_a_report_of_nobody_is_a_failure(tmp_path: Path, request_: srv_pb2.NotifyReadyReq) -> None:
    async with site(tmp_path, "") as made:
        if request_.drpcListenerSock:
            request_.drpcListenerSock = str(tmp_path / request_.drpcListenerSock)
        with pytest.raises(DrpcStatusError) as caught:
            await call(made, Method.NOTIFY_READY, request_)
        assert caught.value.status == DrpcStatus.FAILURE


async def test_pools_that_are_not_known_here_do_not_exist(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        uuid = "12345678-1234-5678-1234-567812345678"
        assert (await call(made, Method.GET_POOL_SVC, srv_pb2.GetPoolSvcReq(uuid=uuid))).status == -1005
        found = await call(made, Method.POOL_FIND_BY_LABEL, srv_pb2.PoolFindByLabelReq(label="p"))
        assert found.status == -1005
        with pytest.raises(DrpcStatusError):
            await call(made, Method.GET_POOL_SVC, srv_pb2.GetPoolSvcReq(uuid="no uuid"))
        assert len((await call(made, Method.LIST_POOLS, srv_pb2.ListPoolsReq())).pools) == 0


async def test_events_are_published_and_answered_with_their_sequence(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        request = event_pb2.ClusterEventReq(
            sequence=9, event=event_pb2.RASEvent(id=17, type=1, rank=3, incarnation=4)
        )
        assert (await call(made, Method.CLUSTER_EVENT, request)).sequence == 9
        assert [(event.id, event.rank, event.incarnation) for event in made.events] == [(17, 3, 4)]
        with pytest.raises(DrpcStatusError):
            await call(made, Method.CLUSTER_EVENT, event_pb2.ClusterEventReq(sequence=1))


async def test_system_properties_and_credentials_are_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        request = system_pb2.SystemGetPropReq(sys="sys", keys=["self_heal"])
        assert dict((await call(made, Method.GET_SYS_PROPS, request)).properties) == {"self_heal": "exclude"}
        assert (await call(made, Method.VALIDATE_CREDENTIALS, auth_pb2.ValidateCredReq())).status == -1003


async def test_the_server_refuses_methods_that_only_engines_have(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        with pytest.raises(DrpcStatusError) as caught:
            await call(made, Method.PING_RANK, None)
        assert caught.value.status == DrpcStatus.UNKNOWN_METHOD
