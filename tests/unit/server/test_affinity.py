"""Which NUMA node or core an engine is bound to: the rules as a table."""

import pytest

from daos_control.server.affinity import Affinity, Placement, affinities

NOTHING = Affinity()


def core(number: int) -> Affinity:
    return Affinity(first_core=number)


def node(number: int) -> Affinity:
    return Affinity(numa_node=number)


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        ([], []),
        # one engine: node 0 unasked is no binding
        ([Placement(None, None, None)], [NOTHING]),
        ([Placement(None, None, 0)], [NOTHING]),
        ([Placement(None, None, 1)], [node(1)]),
        ([Placement(None, 0, 0)], [node(0)]),
        ([Placement(None, 1, 0)], [node(1)]),
        # several: each is bound
        ([Placement(None, None, 0), Placement(None, None, 1)], [node(0), node(1)]),
        ([Placement(None, None, None), Placement(None, None, None)], [node(0), node(0)]),
        # a first core makes all go by cores
        ([Placement(3, None, 1)], [core(3)]),
        ([Placement(0, None, 1)], [core(0)]),
        ([Placement(0, None, 0), Placement(None, 1, 1)], [core(0), NOTHING]),
        # a first core of 0 beside a pinned node does not
        ([Placement(0, 1, 0)], [node(1)]),
        ([Placement(0, 1, 0), Placement(2, None, 0)], [core(0), core(2)]),
    ],
)
def test_the_rules(engines: list[Placement], expected: list[Affinity]) -> None:
    assert affinities(engines) == expected
