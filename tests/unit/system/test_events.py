"""RAS events: names, texts, and the message on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.messages.events import from_proto, to_proto
from daos_control.proto.shared import event_pb2
from daos_control.system import events
from daos_control.system.events import EngineState, PoolReplicas, RasEvent, RasId, RasType, Severity
from daos_control.system.member import NIL_RANK
from unit.system.builders import NOW

U64 = st.integers(0, (1 << 64) - 1)
U32 = st.integers(0, (1 << 32) - 1)
TEXT = st.text(max_size=20)
EVENTS = st.builds(
    RasEvent,
    id=U32,
    type=U32,
    severity=U32,
    message=TEXT,
    timestamp=TEXT,
    hostname=TEXT,
    rank=U32,
    incarnation=U64,
    hardware_id=TEXT,
    process_id=U64,
    thread_id=U64,
    job_id=TEXT,
    pool_uuid=TEXT,
    container_uuid=TEXT,
    object_id=TEXT,
    control_operation=TEXT,
    detail=st.one_of(
        st.none(),
        TEXT,
        st.builds(EngineState, U32, TEXT),
        st.builds(PoolReplicas, st.lists(U32, max_size=5).map(tuple), U64),
    ),
)


@given(EVENTS)
def test_every_event_survives_the_wire(event: RasEvent) -> None:
    message = event_pb2.RASEvent.FromString(to_proto(event).SerializeToString())
    assert from_proto(message) == event
    assert str(event).startswith("id: [")
    assert isinstance(event.name, str)


def test_the_numbers_are_those_on_the_wire() -> None:
    assert [i.value for i in RasId] == list(range(30))
    assert (RasId.ENGINE_DIED, RasId.POOL_REPLICAS_UPDATED, RasId.SWIM_RANK_DEAD, RasId.ENGINE_JOIN_FAILED) == (
        2,
        10,
        17,
        26,
    )
    assert [t.value for t in RasType] == [0, 1, 2]
    assert [s.value for s in Severity] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "unknown_ras_event"), (2, "engine_died"), (25, "system_fabric_provider_changed"), (99, "unknown_unknown")],
)
def test_events_have_the_names_of_daos(number: int, name: str) -> None:
    assert RasEvent(number, RasType.INFO, Severity.NOTICE, "", "").name == name


def test_only_changes_of_state_are_forwarded() -> None:
    forwarded = {t for t in range(5) if RasEvent(1, t, 3, "", "").is_state_change}
    assert forwarded == {RasType.STATE_CHANGE}


def test_an_event_observed_of_daos_is_understood() -> None:
    """From a conversation between DAOS's engine and server."""
    event = from_proto(
        event_pb2.RASEvent(
            id=10,
            msg="List of pool service replica ranks has been updated.",
            timestamp="2026-11-23T03:42:11.949935+0000",
            type=1,
            severity=3,
            hostname="vm",
            proc_id=12482,
            pool_uuid="adaf89fb-ca27-4b6a-8c62-fda1fdbb669f",
            pool_svc_info=event_pb2.RASEvent.PoolSvcEventInfo(svc_reps=[0], version=1),
        )
    )
    assert event.name == "pool_replicas_updated"
    assert event.is_state_change
    assert event.detail == PoolReplicas((0,), 1)
    assert str(event) == (
        "id: [pool_replicas_updated] ts: [2026-11-23T03:42:11.949935+0000] host: [vm] type: [STATE_CHANGE] "
        "sev: [NOTICE] msg: [List of pool service replica ranks has been updated.] pid: [12482] rank: [0] "
        "pool: [adaf89fb-ca27-4b6a-8c62-fda1fdbb669f]"
    )


def test_an_engine_that_ended_without_a_reason_has_still_ended() -> None:
    message = event_pb2.RASEvent()
    message.engine_state_info.errored = True
    assert from_proto(message).detail == EngineState(0, "unknown error")


def test_times_are_written_as_engines_write_them() -> None:
    assert events.format_timestamp(NOW) == "2026-11-23T03:42:11.949935+0000"
    east = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert events.format_timestamp(east) == "2026-01-02T03:04:05.000000+0530"
    assert NOW.tzinfo is UTC


MADE = {
    RasId.ENGINE_FORMAT_REQUIRED: (
        events.engine_format_required("h", 1, "SCM", now=NOW),
        RasType.INFO,
        Severity.NOTICE,
        "DAOS engine 1 requires a SCM format",
    ),
    RasId.ENGINE_DIED: (
        events.engine_died("h", 1, 3, 7, "exit 1", 55, now=NOW),
        RasType.STATE_CHANGE,
        Severity.ERROR,
        "DAOS engine 1 exited unexpectedly: exit 1",
    ),
    RasId.ENGINE_JOIN_FAILED: (
        events.engine_join_failed("h", 1, 3, 7, "no", now=NOW),
        RasType.INFO,
        Severity.ERROR,
        "DAOS engine 1 (rank 3) was not allowed to join the system",
    ),
    RasId.SYSTEM_FABRIC_PROVIDER_CHANGED: (
        events.fabric_provider_changed("a", "b", hostname="h", now=NOW),
        RasType.INFO,
        Severity.NOTICE,
        "system fabric provider has changed: a -> b",
    ),
    RasId.SYSTEM_STOP_FAILED: (
        events.system_stop_failed("stop", "failed rank 1", hostname="h", now=NOW),
        RasType.INFO,
        Severity.ERROR,
        'System shutdown failed during "stop" action, failed rank 1',
    ),
    RasId.SYSTEM_START_FAILED: (
        events.system_start_failed("failed rank 1", hostname="h", now=NOW),
        RasType.INFO,
        Severity.ERROR,
        "System startup failed, failed rank 1",
    ),
}


@pytest.mark.parametrize("number", MADE, ids=lambda n: n.name)
def test_events_of_our_own(number: RasId) -> None:
    event, type_, severity, message = MADE[number]
    assert (event.id, event.type, event.severity, event.message) == (number, type_, severity, message)
    assert (event.hostname, event.timestamp) == ("h", events.format_timestamp(NOW))
    of_an_engine = number in (RasId.ENGINE_DIED, RasId.ENGINE_JOIN_FAILED)
    assert event.rank == (3 if of_an_engine else NIL_RANK)
    assert ("rank: [" in str(event)) is of_an_engine
