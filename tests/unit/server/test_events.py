"""Events of this host: logged, forwarded in order, and never more than can be kept."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daos_control.server import events as server_events
from daos_control.server.events import Events
from daos_control.system.events import RasEvent, RasId, RasType, Severity


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC)


DEATH = RasEvent(RasId.ENGINE_DIED, RasType.STATE_CHANGE, Severity.ERROR, "it died", "now", rank=1)
NOTICE = RasEvent(RasId.POOL_REBUILD_STARTED, RasType.INFO, Severity.NOTICE, "it began", "now", rank=1)
END = RasEvent(RasId.ENGINE_SELF_TERMINATED, RasType.INFO, Severity.NOTICE, "it ends", "now", rank=1)


def make(*, to_syslog: bool = False) -> Events:
    return Events(hostname="host", clock=Noon(), to_syslog=to_syslog)


async def forwarded(hub: Events, count: int, *, fail_first: bool = False) -> list[str]:
    told: list[str] = []
    done = asyncio.Event()

    async def forward(event: RasEvent) -> None:
        told.append(event.message)
        if len(told) >= count:
            done.set()
        if fail_first and len(told) == 1:
            raise RuntimeError("nobody is there")

    task = asyncio.create_task(hub.run(forward))
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told


@pytest.mark.asyncio
async def test_only_state_changes_are_forwarded_in_their_order() -> None:
    hub = make()
    for message in ("one", "two", "three"):
        hub.publish(replace(DEATH, message=message))
        hub.publish(NOTICE)
    hub.publish(replace(DEATH, message="kept"), forward=False)
    hub.publish(replace(DEATH, message="four"))
    assert await forwarded(hub, 4) == ["one", "two", "three", "four"]


@pytest.mark.asyncio
async def test_one_that_is_not_taken_does_not_hold_up_the_next() -> None:
    hub = make()
    hub.publish(replace(DEATH, message="one"))
    hub.publish(replace(DEATH, message="two"))
    assert await forwarded(hub, 2, fail_first=True) == ["one", "two"]


@pytest.mark.asyncio
async def test_a_storm_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_events, "QUEUE_EVENTS_MAX", 10)
    hub = make()
    for _ in range(100):
        hub.publish(DEATH)
    assert hub.dropped == 90
    assert len(await forwarded(hub, 10)) == 10


def test_every_event_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    make().publish(NOTICE)
    assert caplog.messages == [f"&&& RAS {NOTICE}"]


def test_syslog_gets_it_with_its_severity(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr("syslog.syslog", lambda priority, line: sent.append(priority))
    hub = make(to_syslog=True)
    for severity in (1, 2, 3, 77):
        hub.publish(replace(NOTICE, severity=severity))
    make(to_syslog=False).publish(NOTICE)
    assert sent == [24 | 3, 24 | 4, 24 | 5, 24 | 5]


def test_an_engine_that_ends_itself_is_told_of() -> None:
    told: list[RasEvent] = []
    hub = make()
    hub.on_self_terminated(told.append)
    hub.publish(END)
    hub.publish(NOTICE)
    assert told == [END]
