"""One engine's life with real processes: to ready, and to a clean stop from wherever it dies."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from daos_control.drpc import Method
from daos_control.faults import Code, ControlError, Fault
from daos_control.faults.server import rank_admin_excluded
from daos_control.ms.edges import EngineNotReadyError
from daos_control.proto.ctl import server_pb2
from daos_control.proto.srv import srv_pb2
from daos_control.server import superblock
from daos_control.server.instance import KILL, Instance, Stop
from daos_control.server.instance_state import State
from daos_control.server.joining import JoinReply, Verdict
from daos_control.storage.api import ScmState
from fakes.fake_server_engine import EXIT_STATUS
from fakes.fake_server_site import PATIENCE_SECONDS, earlier_identity, engine_storage, site

pytestmark = pytest.mark.asyncio

FULL_START = ["start", "set_rank 5 7", "set_up"]


def is_stopped(instance: Instance) -> bool:
    return instance.state is State.STOPPED and instance.lives > 0


def is_ready(instance: Instance) -> bool:
    return instance.is_ready


def awaits_format(instance: Instance) -> bool:
    return instance.state is State.AWAIT_FORMAT


def engine_sockets(path: Path) -> list[Path]:
    return list(path.glob("daos_engine*.sock"))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# To ready


async def test_from_format_to_ready_each_step_happens_once(tmp_path: Path) -> None:
    async with site(tmp_path, "") as made:
        await made.until(awaits_format)
        assert made.watcher.formats == [(0, "SCM")]
        assert made.instance.rank is None
        await made.format()
        await made.until(is_ready)

        assert made.engine_log() == ["start", "set_rank 0 7", "set_up"]
        assert made.watcher.readies == [0]
        assert made.ready_hooks == [0]
        assert len(made.joiner.requests) == 1
        request = made.joiner.requests[0]
        block = superblock.read(made.instance.storage.superblock_path)
        assert block is not None
        assert (block.uuid, block.rank, block.rank_is_valid, block.uri) == (request.uuid, 0, True, request.uri)
        assert block.incarnation == request.incarnation > 0
        assert request.rank is None
        assert made.watcher.deaths == []


async def test_a_joined_engine_comes_back_by_itself_as_who_it_was(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        made.storage.state[0] = ScmState.MOUNTABLE
        await made.until(is_ready)
        assert made.storage.calls[-3:] == ["scm_state", "mount_scm", "clean_up"]
        assert made.watcher.formats == []
        request = made.joiner.requests[0]
        assert (request.uuid, request.rank) == (earlier_identity(0).uuid, 5)
        assert made.engine_log() == FULL_START


async def test_a_formatted_mount_without_superblock_asks_for_a_metadata_format(tmp_path: Path) -> None:
    async with site(tmp_path, "", formatted=True) as made:
        await made.until(awaits_format)
        assert made.watcher.formats == [(0, "Metadata")]
        made.instance.notify_storage_ready()
        await made.until(is_ready)


async def test_engine_0_of_the_bootstrap_server_asks_for_rank_0_only_until_it_has_one(tmp_path: Path) -> None:
    fresh, old = tmp_path / "fresh", tmp_path / "old"
    fresh.mkdir()
    old.mkdir()
    async with site(fresh, "", bootstrap=True, formatted=True) as made:
        await made.until(awaits_format)
        made.instance.notify_storage_ready()
        await made.until(is_ready)
        assert made.joiner.requests[0].rank == 0
    async with site(old, "", bootstrap=True, joined=True) as made:
        await made.until(is_ready)
        assert made.joiner.requests[0].rank == 5


async def test_a_replacement_is_asked_for_until_it_is_granted(tmp_path: Path) -> None:
    async with site(tmp_path, "", formatted=True) as made:
        made.joiner.answers.append(ControlError("not now"))
        await made.until(awaits_format)
        made.instance.notify_storage_ready(replace=True)
        await made.until(is_stopped)
        made.instance.request_start()
        await made.until(is_ready)
        await made.instance.stop(KILL)
        made.instance.request_start()
        await made.until(is_ready)
        assert [request.replace for request in made.joiner.requests] == [True, True, False]


async def test_a_format_notice_for_storage_that_is_not_mounted_changes_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, "") as made:
        await made.until(awaits_format)
        made.instance.notify_storage_ready()
        await asyncio.sleep(0)  # the notice is taken up
        await made.format()
        await made.until(is_ready)
        assert made.watcher.deaths == []


async def test_output_is_logged_with_the_number_of_the_engine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
    lines = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert ("INFO", "daos_engine:0 fake engine starts") in lines
    assert ("ERROR", "daos_engine:0 it has something to complain about") in lines


# Not to ready


async def test_a_damaged_superblock_stops_the_engine_and_stays_as_it_is(tmp_path: Path) -> None:
    path = engine_storage(tmp_path, 0).superblock_path
    damage = b"version: 1\nuuid: \xff\xff"
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        await made.instance.stop(KILL)
        path.write_bytes(damage)
        made.instance.request_start()
        await made.until(lambda i: i.lives == 2 and is_stopped(i))
        assert [(pid, "damaged" in reason) for _, pid, reason in made.watcher.deaths] == [(0, True)]
        assert path.read_bytes() == damage
        assert made.watcher.formats == []


async def test_storage_that_cannot_be_looked_at_is_not_offered_for_a_format(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        await made.instance.stop(KILL)
        made.storage.state[0] = ScmState.MOUNTABLE
        made.storage.fault = Fault("storage", Code.STORAGE_UNKNOWN, "input/output error", "replace the device")
        made.instance.request_start()
        await made.until(lambda i: i.lives == 2 and is_stopped(i))
        assert made.watcher.formats == []
        assert len(made.watcher.deaths) == 1
        made.storage.fault = None
        made.instance.request_start()
        await made.until(is_ready)


async def test_an_engine_does_not_run_when_what_must_come_before_it_fails(tmp_path: Path) -> None:
    async with site(tmp_path, "", formatted=True) as made:
        made.hook_errors.append(RuntimeError("the database is damaged"))
        await made.until(awaits_format)
        made.instance.notify_storage_ready()
        await made.until(is_stopped)
        assert made.watcher.deaths == [(0, 0, "the database is damaged")]
        assert made.engine_log() == []
        made.instance.request_start()
        await made.until(is_ready)


@pytest.mark.parametrize(
    ("way", "log"),
    [
        ("exit-at-once", []),
        ("exit-after-report", ["start"]),
        ("exit-on-set-rank", FULL_START[:2]),
        ("exit-on-set-up", FULL_START),
    ],
)
async def test_an_engine_that_dies_before_it_is_ready_is_stopped_with_one_event_and_starts_again(
    tmp_path: Path, way: str, log: list[str]
) -> None:
    async with site(tmp_path, way, joined=True) as made:
        if way == "exit-after-report":
            made.joiner.answers.append(None)
        await made.until(is_stopped)

        assert len(made.watcher.deaths) == 1
        _, pid, reason = made.watcher.deaths[0]
        assert not alive(pid)
        assert reason.endswith(f"exited: exit status {EXIT_STATUS}")
        assert made.engine_log() == log
        assert engine_sockets(tmp_path) == []

        made.ways[0] = ""
        made.joiner.answers.clear()  # the death may have come before the join that was to wait
        made.instance.request_start()
        await made.until(is_ready)
        assert len(made.watcher.deaths) == 1
        assert made.engine_log()[len(log) :] == FULL_START


async def test_an_engine_that_is_killed_while_it_joins_ends_the_join(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        made.joiner.answers.append(None)
        await asyncio.wait_for(made.joiner.asked.wait(), PATIENCE_SECONDS)
        assert made.instance.pid is not None
        os.kill(made.instance.pid, signal.SIGKILL)
        await made.until(is_stopped)
        assert made.joiner.cancelled == 1
        assert len(made.watcher.deaths) == 1
        made.instance.request_start()
        await made.until(is_ready)
        assert made.engine_log() == ["start", *FULL_START]


@pytest.mark.parametrize(("way", "status"), [("refuse-set-rank", "-1003"), ("refuse-set-up", "-1014")])
async def test_an_engine_that_refuses_to_be_set_up_is_killed_with_one_event(
    tmp_path: Path, way: str, status: str
) -> None:
    async with site(tmp_path, way, joined=True) as made:
        await made.until(is_stopped)
        assert [status in reason for _, _, reason in made.watcher.deaths] == [True]
        assert not alive(made.watcher.deaths[0][1])
        made.ways[0] = ""
        made.instance.request_start()
        await made.until(is_ready)


async def test_a_refused_join_stops_the_engine_with_the_reason(tmp_path: Path) -> None:
    refusals = [
        rank_admin_excluded("5", 1),
        JoinReply(rank=5, verdict=Verdict.OUT, map_version=1),
        ControlError("uuid changed"),
    ]
    for number, refusal in enumerate(refusals):
        path = tmp_path / str(number)
        path.mkdir()
        async with site(path, "", joined=True) as made:
            made.joiner.answers.append(refusal)
            await made.until(is_stopped)
            assert len(made.watcher.deaths) == 1
            assert str(made.instance.last_error) == made.watcher.deaths[0][2]
            assert "uuid changed" in made.watcher.deaths[0][2] or "excluded" in made.watcher.deaths[0][2]
            assert made.engine_log() == ["start"]
            assert not alive(made.watcher.deaths[0][1])


async def test_a_system_in_checker_mode_gets_the_engine_as_checker_without_a_death(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        made.joiner.answers.append(JoinReply(rank=5, verdict=Verdict.CHECK, map_version=1))
        await made.until(is_ready)
        assert [request.check_mode for request in made.joiner.requests] == [False, True]
        assert made.watcher.deaths == []
        assert made.instance.lives == 2


# Ends and stops


async def test_what_an_engine_left_on_its_devices_is_cleaned_before_each_start_and_after_each_end(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, "", joined=True) as made:
        for life in range(2):
            made.storage.calls.clear()
            if life:
                made.instance.request_start()
            await made.until(is_ready)
            assert made.storage.calls.count("clean_up") == 1
            assert made.instance.pid is not None
            os.kill(made.instance.pid, signal.SIGKILL)
            await made.until(is_stopped)
            assert made.storage.calls.count("clean_up") == 2


async def test_an_engine_killed_while_ready_is_stopped_with_one_event_and_stays_down(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        pid = made.instance.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await made.until(is_stopped)
        assert [(i, p) for i, p, _ in made.watcher.deaths] == [(0, pid)]
        assert made.watcher.deaths[0][2].endswith("exited: signal: killed")
        assert engine_sockets(tmp_path) == []
        assert made.instance.lives == 1
        with pytest.raises(Fault) as caught:
            await made.instance.call(Method.PING_RANK, None, timeout=1)
        assert caught.value.code == Code.SERVER_DATA_PLANE_NOT_STARTED


@pytest.mark.parametrize(
    ("way", "state"),
    [("mute", State.STARTING), ("", State.JOINING), ("mute-on-set-up", State.SETTING_UP), ("", State.READY)],
)
async def test_a_stop_ends_an_engine_in_every_state_without_a_death(tmp_path: Path, way: str, state: State) -> None:
    async with site(tmp_path, way, joined=True) as made:
        if state is State.JOINING:
            made.joiner.answers.append(None)
        await made.until(lambda i: i.state is state)
        if state is State.JOINING:
            await asyncio.wait_for(made.joiner.asked.wait(), PATIENCE_SECONDS)
        pid = made.instance.pid
        assert pid is not None
        await made.instance.stop(Stop(signal.SIGTERM, 20.0))
        assert made.instance.state is State.STOPPED
        assert not alive(pid)
        assert made.watcher.deaths == []
        assert made.joiner.cancelled == (1 if state is State.JOINING else 0)
        made.ways[0] = ""
        made.instance.request_start()
        await made.until(is_ready)


async def test_a_stop_while_it_awaits_a_format_leaves_nothing_behind(tmp_path: Path) -> None:
    async with site(tmp_path, "") as made:
        await made.until(awaits_format)
        await made.instance.stop(Stop())
        assert made.instance.state is State.STOPPED
        assert made.watcher.deaths == []
        await made.format()  # the notice starts it
        await made.until(is_ready)


async def test_an_engine_that_ignores_the_stop_is_killed_after_the_bound(tmp_path: Path) -> None:
    async with site(tmp_path, "stubborn", joined=True) as made:
        await made.until(is_ready)
        pid = made.instance.pid
        assert pid is not None
        await asyncio.wait_for(made.instance.stop(Stop(signal.SIGTERM, 0.2)), PATIENCE_SECONDS)
        assert not alive(pid)
        assert made.watcher.deaths == []


async def test_a_forced_stop_overtakes_a_patient_one(tmp_path: Path) -> None:
    async with site(tmp_path, "stubborn", joined=True) as made:
        await made.until(is_ready)
        patient = asyncio.create_task(made.instance.stop(Stop(signal.SIGTERM, 3600.0)))
        await made.until(lambda i: i.state is State.STOPPING)
        await asyncio.wait_for(made.instance.stop(KILL), PATIENCE_SECONDS)
        await asyncio.wait_for(patient, PATIENCE_SECONDS)
        assert made.watcher.deaths == []


async def test_a_start_during_a_stop_follows_it(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        stop = asyncio.create_task(made.instance.stop(Stop()))
        await made.until(lambda i: i.state is State.STOPPING)
        made.instance.request_start()
        await asyncio.wait_for(stop, PATIENCE_SECONDS)
        await made.until(is_ready)
        assert made.instance.lives == 2
        assert made.engine_log() == FULL_START * 2


async def test_a_stop_beats_a_start_that_has_not_begun(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        await made.instance.stop(KILL)
        made.instance.request_start()
        await made.instance.stop(KILL)
        assert not made.instance.start_pending
        await asyncio.sleep(0)
        assert (made.instance.state, made.instance.lives) == (State.STOPPED, 1)


async def test_starting_what_runs_changes_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        made.instance.request_start()
        assert not made.instance.start_pending
        assert made.engine_log() == FULL_START


# Reports


async def test_a_report_that_is_not_due_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        await made.until(is_ready)
        with pytest.raises(ControlError, match="already"):
            made.instance.notify_ready(srv_pb2.NotifyReadyReq(uri="other", drpcListenerSock="/elsewhere"))
        await made.instance.stop(KILL)
        with pytest.raises(ControlError, match="no process"):
            made.instance.notify_ready(srv_pb2.NotifyReadyReq())
        assert made.engine_log() == FULL_START


async def test_calls_are_refused_until_the_engine_is_set_up(tmp_path: Path) -> None:
    async with site(tmp_path, "", joined=True) as made:
        made.joiner.answers.append(None)
        await asyncio.wait_for(made.joiner.asked.wait(), PATIENCE_SECONDS)
        with pytest.raises(EngineNotReadyError):
            await made.instance.call(Method.PING_RANK, None, timeout=1)
        await made.instance.stop(KILL)
        made.instance.request_start()
        await made.until(is_ready)
        request = server_pb2.SetLogMasksReq(masks="ERR")
        await made.instance.call(Method.SET_LOG_MASKS, request, timeout=PATIENCE_SECONDS)
        assert made.engine_log()[-1] == "set_log_masks ERR"
