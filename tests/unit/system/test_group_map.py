"""The group map."""

import pytest

from daos_control.faults import SystemUnavailableError
from daos_control.system.changes import BumpMapVersion, PutMember
from daos_control.system.database import SystemDatabase
from daos_control.system.group_map import group_map
from daos_control.system.state import MemberState
from unit.system.builders import NOW, database, member

S = MemberState
LEFT_OUT = {S.AWAIT_FORMAT, S.EXCLUDED, S.ADMIN_EXCLUDED}


@pytest.mark.parametrize("state", [s for s in MemberState if s is not S.UNKNOWN], ids=lambda s: s.name)
def test_stopped_and_failed_ranks_stay_in_the_map_and_excluded_ones_leave_it(state: MemberState) -> None:
    db = database(member(0), member(1, state))
    assert group_map(db).ranks == ((0,) if state in LEFT_OUT else (0, 1))


def test_a_rank_without_an_address_is_left_out() -> None:
    assert group_map(database(member(0, fabric_uri=""))).ranks == ()


def test_engines_are_in_the_order_of_ranks_with_all_that_clients_need() -> None:
    db = database(member(2), member(0, secondary_fabric_uris=("u",), secondary_fabric_contexts=(7,)))
    found = group_map(db, ["10.0.0.2:10001", "10.9.9.9:10001"])
    assert found.ranks == (0, 2)
    assert found.ms_ranks == (2,)
    first = found.engines[0]
    assert (first.uri, first.incarnation, first.contexts) == ("ofi+tcp://10.0.0.0:31416", 100, 3)
    assert (first.secondary_uris, first.secondary_contexts) == (("u",), (7,))


def test_the_version_grows_with_members_and_on_request_only() -> None:
    db = database(member(0))
    version = group_map(db).version
    db.apply([PutMember(member(0).with_state(S.STOPPED, "", NOW))])
    assert group_map(db).version == version + 1
    db.apply([BumpMapVersion()])
    assert group_map(db).version == version + 2


def test_an_empty_map_must_not_be_sent() -> None:
    with pytest.raises(SystemUnavailableError, match="empty group map"):
        group_map(SystemDatabase()).check()
    group_map(database(member(0))).check()
