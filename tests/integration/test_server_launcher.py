"""The launcher: what an engine process is like when its program begins."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daos_control.server.engine_command import EngineCommand
from daos_control.server.engine_process import EngineProcess

pytestmark = pytest.mark.asyncio

PATIENCE_SECONDS = 30.0


async def run(
    caplog: pytest.LogCaptureFixture, code: str, environment: dict[str, str] | None = None
) -> tuple[str, int]:
    """What the program wrote, and its exit status."""
    caplog.set_level("INFO")
    command = EngineCommand(Path("/bin/sh"), ("-c", code), environment or {})
    process = await EngineProcess.start(7, command)
    done = await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    await asyncio.wait_for(process.drained(), PATIENCE_SECONDS)
    lines = [m.removeprefix("daos_engine:7 ") for m in caplog.messages if m.startswith("daos_engine:7 ")]
    return "\n".join(lines), done.status


async def test_the_environment_is_exactly_what_was_given(caplog: pytest.LogCaptureFixture) -> None:
    output, status = await run(caplog, "exec /usr/bin/env", {"D_PORT": "1", "LANG": "ä"})
    assert status == 0
    assert {line for line in output.splitlines() if not line.startswith(("PWD=", "SHLVL=", "_="))} == {
        "D_PORT=1",
        "LANG=ä",
    }


async def test_it_has_its_own_session_default_signals_and_all_the_files_it_may_have(
    caplog: pytest.LogCaptureFixture,
) -> None:
    output, _ = await run(caplog, "ulimit -n; exec cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    assert int(fields["SigIgn"], 16) == 0
    assert int(fields["SigBlk"], 16) == 0
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert output.splitlines()[0] == str(hard)
    assert fields["NSsid"].split()[-1] == fields["Pid"]


async def test_no_descriptor_of_the_server_reaches_it(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        output, _ = await run(caplog, "ls -l /proc/$$/fd")
    assert "secret" not in output


async def test_a_program_that_is_not_there_is_an_exit_that_says_so(caplog: pytest.LogCaptureFixture) -> None:
    process = await EngineProcess.start(7, EngineCommand(Path("/nowhere/daos_engine"), (), {}))
    done = await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    await asyncio.wait_for(process.drained(), PATIENCE_SECONDS)
    assert str(done) == "/nowhere/daos_engine exited: it could not be started"
    assert any("No such file" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("exit 0", "process exited with 0"),
        ("exit 4", "exit status 4"),
        ("kill -SEGV $$", "signal: segmentation fault"),
    ],
)
async def test_an_exit_is_described_in_the_words_of_daos(
    caplog: pytest.LogCaptureFixture, code: str, reason: str
) -> None:
    process = await EngineProcess.start(7, EngineCommand(Path("/bin/sh"), ("-c", code), {}))
    assert str(await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)) == f"/bin/sh exited: {reason}"
    assert not process.running
    process.signal(signal.SIGKILL)  # to nobody
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_endless_lines_and_lines_without_an_end_are_logged_in_pieces(
    caplog: pytest.LogCaptureFixture,
) -> None:
    output, _ = await run(caplog, "head -c 100000 /dev/zero | tr '\\0' x; echo; printf last")
    assert output.count("x") == 100000
    assert max(len(line) for line in output.splitlines()) <= 8192
    assert output.splitlines()[-1] == "last"


async def test_output_that_a_grandchild_keeps_open_does_not_delay_the_exit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = await EngineProcess.start(7, EngineCommand(Path("/bin/sh"), ("-c", "sleep 60 & echo $!; exit 0"), {}))
    caplog.set_level("INFO")
    await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    await asyncio.wait_for(process.drained(), PATIENCE_SECONDS)
    grandchild = next(int(m.split()[-1]) for m in caplog.messages if m.startswith("daos_engine:7 "))
    os.kill(grandchild, signal.SIGKILL)


async def test_it_is_killed_with_its_parent() -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "from daos_control.server.engine_command import EngineCommand\n"
        "from daos_control.server.engine_process import EngineProcess\n"
        "async def main():\n"
        "    command = EngineCommand(pathlib.Path('/bin/sh'), ('-c', 'exec sleep 60'), {})\n"
        "    process = await EngineProcess.start(0, command)\n"
        "    print(process.pid, flush=True)\n"
        "    await process.wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - it takes no time
        [sys.executable, "-c", script], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        handle = os.pidfd_open(pid)
        try:
            gone = asyncio.Event()
            asyncio.get_running_loop().add_reader(handle, gone.set)
            parent.kill()
            await asyncio.wait_for(gone.wait(), PATIENCE_SECONDS)
        finally:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)
