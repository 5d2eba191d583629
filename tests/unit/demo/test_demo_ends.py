"""What the demo does about an earlier one, about a program that hangs, and when it is broken off."""

import os
import subprocess
from pathlib import Path

import pytest

from daos_control.demo import __main__ as command
from daos_control.demo import session
from daos_control.demo.processes import Process, ProcessTable
from daos_control.demo.session import Demo, DemoError


class Interrupted(Demo):
    """A demo whose start comes to an end that the test chooses."""

    def __init__(self, end: BaseException) -> None:
        self.end = end
        self.ended = False

    def up(self, *, hosts: int, engines: int, port: int = 0) -> None:
        raise self.end

    def down(self) -> None:
        self.ended = True


def test_it_says_that_it_ends_the_demo_that_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "demo"
    state.mkdir()
    earlier = Process.start(["sleep", "60"], log=tmp_path / "log", environment=dict(os.environ))
    ProcessTable(state / "processes.json").add("host1", earlier)

    def no_plan(*_: object, **__: object) -> None:
        raise DemoError("far enough")

    monkeypatch.setattr(session.Layout, "plan", no_plan)
    said: list[str] = []
    with pytest.raises(DemoError, match="far enough"):
        Demo(state, said.append).up(hosts=1, engines=1)
    assert said == ["Ending the demo that is running here; its pools go with it."]
    assert not earlier.is_running


def test_a_dmg_that_hangs_ends_the_demo_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "COMMAND_SECONDS_MAX", 0.1)
    monkeypatch.setattr(session, "program", lambda _: "sleep")
    with pytest.raises(DemoError, match="dmg 60 did not end within") as caught:
        Demo(tmp_path, print)._dmg("60", config=False)
    assert not isinstance(caught.value.__cause__, subprocess.TimeoutExpired)


def test_an_interrupted_start_leaves_nothing() -> None:
    demo = Interrupted(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        command._run(demo, hosts=1, engines=1, port=10001, once=False)
    assert demo.ended


@pytest.mark.parametrize("once", [True, False])
def test_a_failed_start_leaves_what_there_is_to_see_and_tells_how_to_end_it(
    once: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = Interrupted(DemoError("no"))
    with pytest.raises(DemoError):
        command._run(demo, hosts=1, engines=1, port=10001, once=once)
    assert demo.ended is once
    assert ("--stop" in capsys.readouterr().err) is not once
