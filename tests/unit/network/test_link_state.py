"""Whether interfaces are ready, and how a server waits for them."""

import itertools
from pathlib import Path

import pytest

from daos_control.faults import ControlError
from daos_control.network.interfaces import interfaces, state_of
from daos_control.network.link_state import RETRY_SECONDS, State, condense, port_state, still_waiting, wait_ready
from fakes.fake_sysfs import Sysfs

READY, NOT_READY, DOWN, UNKNOWN = State.READY, State.NOT_READY, State.DOWN, State.UNKNOWN


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("1: DOWN", DOWN),
        ("2: INIT", NOT_READY),
        ("3: ARMED", NOT_READY),
        ("4: ACTIVE", READY),
        ("5: ACTIVE_DEFER", UNKNOWN),
        ("", UNKNOWN),
        ("active", UNKNOWN),
    ],
)
def test_states_of_infiniband_ports(text: str, state: State) -> None:
    assert port_state(text) is state


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ((), UNKNOWN),
        ((READY,), READY),
        ((READY, DOWN), READY),
        ((READY, NOT_READY), NOT_READY),
        ((DOWN, NOT_READY), NOT_READY),
        ((DOWN, DOWN), DOWN),
        ((DOWN, UNKNOWN), DOWN),
        ((UNKNOWN, READY), READY),
    ],
)
def test_states_of_several_ports_are_one(states: tuple[State, ...], together: State) -> None:
    for order in itertools.permutations(states):
        assert condense(order) is together


@pytest.mark.parametrize(
    ("operstate", "state"),
    [
        ("up", READY),
        ("down", DOWN),
        ("lowerlayerdown", DOWN),
        ("notpresent", DOWN),
        ("testing", NOT_READY),
        ("dormant", NOT_READY),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_states_of_ethernet(operstate: str, state: State, tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.net("eth0", sysfs.function("0000:03:00.0"), operstate=operstate)
    assert state_of("eth0", tmp_path) is state
    assert state_of("eth1", tmp_path) is None


def test_loopback_is_ready_though_it_says_unknown(tmp_path: Path) -> None:
    Sysfs(tmp_path).net("lo", None, kind=772, operstate="unknown")
    assert state_of("lo", tmp_path) is READY


def test_infiniband_is_ready_when_its_ports_are_and_so_is_what_stands_on_it(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    card = sysfs.function("0000:81:00.0", 1)
    sysfs.fabric("mlx5_0", card, "4: ACTIVE", "2: INIT")
    sysfs.net("ib0", card, kind=32)
    child = sysfs.net("ib0.8001", None, kind=32)
    sysfs.write(child / "parent", "ib0")
    assert state_of("ib0", tmp_path) is state_of("ib0.8001", tmp_path) is NOT_READY
    sysfs.write("devices/pci0000:00/0000:81:00.0/infiniband/mlx5_0/ports/2/state", "4: ACTIVE")
    assert state_of("ib0", tmp_path) is state_of("ib0.8001", tmp_path) is READY


def test_infiniband_without_a_device_is_unknown(tmp_path: Path) -> None:
    Sysfs(tmp_path).net("ib0", None, kind=32)
    assert state_of("ib0", tmp_path) is UNKNOWN


def test_a_virtual_interface_has_the_node_of_the_card_below_it(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.net("eth1", sysfs.function("0000:81:00.0", 1))
    sysfs.lower(sysfs.net("eth1.7", None), "eth1")
    sysfs.lower(sysfs.net("eth1.7.8", None), "eth1.7")
    found = {one.name: one for one in interfaces(tmp_path, {})}
    assert (found["eth1.7"].numa_node, found["eth1.7"].virtual, found["eth1.7"].backing) == (1, False, "eth1")
    assert (found["eth1.7.8"].numa_node, found["eth1.7.8"].virtual) == (0, True)


def test_only_what_is_not_ready_is_waited_for() -> None:
    assert still_waiting({"a": READY, "b": NOT_READY}) == ("b",)
    assert still_waiting({}) == ()


@pytest.mark.parametrize(
    ("state", "why"), [(DOWN, "it is down"), (UNKNOWN, "its state is not known"), (None, "no network interface b")]
)
def test_what_waiting_does_not_help_is_an_error(state: State | None, why: str) -> None:
    with pytest.raises(ControlError, match=why):
        still_waiting({"a": NOT_READY, "b": state})


class Links:
    """Interfaces whose states are told one after the other; the last stays."""

    def __init__(self, **states: list[State | None]) -> None:
        self.states = states
        self.asked: list[str] = []
        self.slept: list[float] = []

    def state_of(self, name: str) -> State | None:
        self.asked.append(name)
        states = self.states[name]
        return states.pop(0) if len(states) > 1 else states[0]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.mark.asyncio
async def test_the_wait_asks_each_second_and_never_again_what_was_ready() -> None:
    links = Links(a=[NOT_READY, NOT_READY, READY], b=[READY, DOWN])
    await wait_ready(["a", "b", "a"], links.state_of, sleep=links.sleep)
    assert links.asked == ["a", "b", "a", "a"]
    assert links.slept == [RETRY_SECONDS, RETRY_SECONDS]


@pytest.mark.asyncio
async def test_the_wait_ends_when_an_interface_goes_down_meanwhile() -> None:
    links = Links(a=[NOT_READY, DOWN])
    with pytest.raises(ControlError, match='requested fabric interface "a" is unusable'):
        await wait_ready(["a"], links.state_of, sleep=links.sleep)


@pytest.mark.asyncio
async def test_nothing_to_wait_for_is_ready() -> None:
    await wait_ready([], lambda name: pytest.fail(name))
