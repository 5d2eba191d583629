"""Records: every member and pool survives its text, and nothing else is taken for one."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.store.records import decode_member, decode_pool, encode_member, encode_pool
from daos_control.system.member import MAX_RANK, Member
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.state import MemberState
from unit.system.builders import member, pool

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
U64 = st.integers(0, (1 << 64) - 1)
U32 = st.integers(0, (1 << 32) - 1)
TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
MEMBERS = st.builds(
    Member,
    rank=st.integers(0, MAX_RANK),
    uuid=TEXT,
    address=TEXT,
    fabric_uri=TEXT,
    state=st.sampled_from([s for s in MemberState if s is not MemberState.UNKNOWN]),
    fault_domain=TEXT,
    last_update=TIMES,
    incarnation=U64,
    fabric_contexts=U32,
    secondary_fabric_uris=st.lists(TEXT, max_size=3).map(tuple),
    secondary_fabric_contexts=st.lists(U32, max_size=3).map(tuple),
    info=TEXT,
)
POOLS = st.builds(
    PoolService,
    uuid=TEXT,
    label=TEXT,
    state=st.sampled_from(PoolState),
    last_update=TIMES,
    replicas=st.lists(U32, max_size=9).map(tuple),
    creation_ranks=st.lists(U32, max_size=9).map(tuple),
    tier_bytes=st.lists(U64, max_size=2).map(tuple),
    mem_ratio=st.floats(0, 1),
    service_term=U64,
)


@given(MEMBERS)
def test_every_member_survives_its_record(made: Member) -> None:
    assert decode_member(encode_member(made)) == made


@given(POOLS)
def test_every_pool_survives_its_record(made: PoolService) -> None:
    assert decode_pool(encode_pool(made)) == made


def test_records_name_their_fields() -> None:
    assert json.loads(encode_member(member(0))).keys() == set(Member.__dataclass_fields__)
    assert json.loads(encode_pool(pool(1))).keys() == set(PoolService.__dataclass_fields__)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rank", "0"),
        ("rank", True),
        ("rank", None),
        ("uuid", 5),
        ("state", "unknown"),
        ("state", "dancing"),
        ("last_update", "yesterday"),
        ("last_update", 5),
        ("secondary_fabric_uris", "x"),
        ("secondary_fabric_contexts", ["x"]),
        ("another", 1),
    ],
)
def test_a_member_with_a_wrong_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError):
        decode_member(json.dumps(json.loads(encode_member(member(0))) | {field: value}))


@pytest.mark.parametrize(
    ("field", "value"), [("state", "Gone"), ("mem_ratio", "1"), ("replicas", [None]), ("x", 1)]
)
def test_a_pool_with_a_wrong_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError):
        decode_pool(json.dumps(json.loads(encode_pool(pool(1))) | {field: value}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "{", '{"rank": 0}'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_member(text)
    with pytest.raises(ValueError):
        decode_pool(text)
