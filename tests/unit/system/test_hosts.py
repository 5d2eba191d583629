"""Host sets: names, ranges, folding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError
from daos_control.system.hosts import MAX_RANGE, HostSet, split_port, with_port


@pytest.mark.parametrize(
    ("text", "folded", "count"),
    [
        ("", "", 0),
        ("localhost", "localhost", 1),
        ("localhost:10001", "localhost:10001", 1),
        ("node[1-128]", "node[1-128]", 128),
        ("node2-1,node1-2,node1-[45,47],node3,node1-3", "node3,node1-[2-3,45,47],node2-1", 6),
        ("node1-2.a,node1-[45,47].b,node1-3", "node1-3,node1-2.a,node1-[45,47].b", 4),
        ("node-3,node-1", "node-[1,3]", 2),
        ("10.5.1.[2-32]:10001,10.5.1.42:10001,10.5.1.1:10001", "10.5.1.[1-32,42]:10001", 33),
        ("10.0.0.1,10.0.0.2,10.0.0.3:1", "10.0.0.[1-2],10.0.0.3:1", 3),
        ("node[1-8],node2,node4,node8", "node[1-8]", 8),
        ("node[001-9],node[010-20]", "node[001-020]", 20),
        ("node[098-102]", "node[098-102]", 5),
        ("node[001-9],node[10-20]", "node[10-20,001-009]", 20),
        ("node[8-12]", "node[8-12]", 5),
        ("node1 node2\tnode3, node4\n", "node[1-4]", 4),
        ("host[1-2,5]:10001", "host[1-2,5]:10001", 3),
        ("host[1, 3 - 4]", "host[1,3-4]", 3),
        ("dserver-0001,dserver-0002", "dserver-[0001-0002]", 2),
        ("d-server-1ab,d-server-2ab", "d-server-[1-2]ab", 2),
        ("my-node1,my-node2", "my-node1,my-node2", 2),
        ("a.b[1-3].c", "a.b[1-3].c", 3),
        ("node,node1", "node,node1", 2),
        ("node1,node01", "node[1,01]", 2),
        ("b,a", "a,b", 2),
        ("node3.example.org,node4.example.org", "node[3-4].example.org", 2),
        ("node1[2-3],node14", "node[12-14]", 3),
    ],
)
def test_a_list_of_hosts_is_folded(text: str, folded: str, count: int) -> None:
    hosts = HostSet.parse(text)
    assert str(hosts) == folded
    assert len(hosts) == count
    assert HostSet.parse(folded) == hosts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("node[5-4]", "invalid range"),
        ("node[a-b]", "invalid range"),
        ("node[0-b]", "invalid range"),
        ("node[0--1]", "invalid range"),
        ("node[]", "invalid range"),
        ("node[0-1", "invalid range"),
        ("node0-1]", "invalid range"),
        ("a[1-2][3-4]", "invalid range"),
        ("[0-1,3-5]", "missing prefix"),
        (f"node[0-{MAX_RANGE + 1}]", "more than 16384"),
        ("node5:-10001", "invalid hostname"),
        ("1.2.3.5:-10001", "invalid hostname"),
        ("node:port", "invalid hostname"),
        ("node:0", "no port"),
        ("node:65536", "no port"),
        ("4node", "invalid hostname"),
        ("1.2.3", "invalid hostname"),
        ("node@rack", "invalid hostname"),
        ("!node", "invalid hostname"),
        ("node/1", "invalid hostname"),
        ("::1", "IPv6"),
        ("[fe80::1]:10001", "invalid range|missing prefix"),
        ("fe80::1", "IPv6"),
    ],
)
def test_what_is_no_list_of_hosts_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ControlError, match=reason):
        HostSet.parse(text)


def test_the_largest_range_is_allowed_and_several_are_bounded() -> None:
    assert len(HostSet.parse(f"n[0-{MAX_RANGE}]")) == MAX_RANGE + 1
    with pytest.raises(ControlError, match="hosts in one list"):
        HostSet.parse(",".join(f"{letter}[0-{MAX_RANGE}]" for letter in "abcde"))


def test_the_deranged_form_lists_every_host() -> None:
    assert HostSet.parse("node[9-11]:1,a").deranged == "a,node9:1,node10:1,node11:1"


def test_sets_combine() -> None:
    left, right = HostSet.parse("n[1-4]"), HostSet.parse("n[3-6]")
    assert str(left | right) == "n[1-6]"
    assert str(left & right) == "n[3-4]"
    assert str(left - right) == "n[1-2]"
    assert "n3" in left
    assert "n5" not in left


def test_a_port_is_taken_off_and_put_on() -> None:
    assert split_port("a:10001") == ("a", 10001)
    assert split_port("a") == ("a", None)
    assert with_port("a", 5) == "a:5"
    assert with_port("a:1", 5) == "a:1"


NAMES = st.builds(
    lambda prefix, number, suffix, port: f"{prefix}{number}{suffix}{port}",
    st.sampled_from(["node", "n-", "a-b-", "rack1-n", "x", "10.0.0."]),
    st.one_of(st.integers(0, 200).map(str), st.integers(0, 12).map(lambda n: f"{n:03d}")),
    st.sampled_from(["", ".org", "ib"]),
    st.sampled_from(["", ":10001"]),
).filter(lambda name: not (name.startswith("10.") and (".org" in name or "ib" in name)))


@given(st.lists(NAMES, max_size=40))
def test_folding_loses_no_host_and_adds_none(names: list[str]) -> None:
    hosts = HostSet(names)
    assert set(hosts) == set(names)
    assert set(HostSet.parse(str(hosts))) == set(names)
    assert set(HostSet.parse(hosts.deranged)) == set(names)
    assert str(HostSet(reversed(names))) == str(hosts)


@given(st.text(max_size=30))
def test_any_text_is_a_set_or_is_refused_with_a_reason(text: str) -> None:
    try:
        hosts = HostSet.parse(text)
    except ControlError:
        with pytest.raises(ControlError, match="invalid"):
            HostSet.parse(text)
    else:
        assert HostSet.parse(str(hosts)) == hosts
