"""Members, results and pools keep what they say on the way through protobuf."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.messages import members, pools, results
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.member import NIL_RANK, Member
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.results import RankResult
from daos_control.system.state import MemberState

RANKS = st.integers(0, NIL_RANK)
TEXTS = st.text(max_size=20)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(
    st.builds(
        Member,
        rank=RANKS,
        uuid=TEXTS,
        address=TEXTS,
        fabric_uri=TEXTS,
        state=st.sampled_from(MemberState),
        fault_domain=TEXTS,
        last_update=TIMES,
        incarnation=st.integers(0, (1 << 64) - 1),
        fabric_contexts=st.integers(0, 1000),
        secondary_fabric_uris=st.lists(TEXTS, max_size=2).map(tuple),
        info=TEXTS,
    )
)
def test_a_member_comes_back_as_it_was(member: Member) -> None:
    assert members.from_proto(members.to_proto(member)) == member


@given(
    st.builds(
        RankResult,
        rank=RANKS,
        action=TEXTS,
        state=st.sampled_from(MemberState),
        errored=st.booleans(),
        message=TEXTS,
        address=TEXTS,
    )
)
def test_a_result_comes_back_as_it_was(result: RankResult) -> None:
    assert results.from_proto(results.to_proto(result)) == result


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 11, 23, 3, 30, 52, 497022, tzinfo=UTC), "2026-11-23T03:30:52.497022Z"),
        (datetime(2026, 11, 23, 3, 30, 52, 490000, tzinfo=UTC), "2026-11-23T03:30:52.49Z"),
        (datetime(2026, 11, 23, 3, 30, 52, tzinfo=UTC), "2026-11-23T03:30:52Z"),
        (datetime(2026, 11, 23, 4, 0, tzinfo=timezone(timedelta(hours=1))), "2026-11-23T03:00:00Z"),
    ],
)
def test_times_are_written_as_go_writes_them(time: datetime, text: str) -> None:
    assert members.format_time(time) == text
    assert members.parse_time(text) == time


def test_the_nanoseconds_of_go_are_read() -> None:
    expected = datetime(2026, 11, 23, 3, 30, 52, 497022, tzinfo=UTC)
    assert members.parse_time("2026-11-23T03:30:52.497022785Z") == expected


def test_a_pool_is_listed_with_the_name_of_its_state() -> None:
    pool = PoolService("u", "tank", PoolState.DESTROYING, datetime.now(UTC), replicas=(1, 2))
    entry = pools.to_list_entry(pool)
    assert (entry.uuid, entry.label, entry.state, list(entry.svc_reps)) == ("u", "tank", "Destroying", [1, 2])


def test_the_label_of_a_request_is_its_property_1_and_numbers_go_as_numbers() -> None:
    values = pools.to_properties([(16, 0), (1, "tank"), (18, 7)])
    assert [value.WhichOneof("value") for value in values] == ["numval", "strval", "numval"]
    assert pools.label_of(values) == "tank"
    assert pools.create_request(pool_pb2.PoolCreateReq(properties=values, total_bytes=5), "u").label == "tank"
    assert pools.label_of([]) == ""
