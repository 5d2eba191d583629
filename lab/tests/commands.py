"""Programs of the machine's system."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LIMIT_S = 60.0


def run(*command: str, check: bool = True) -> str:
    """A program's output; AssertionError with all it said where it failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def run_json(*command: str) -> Any:
    """What a program says in JSON; None where it says nothing."""
    output = run(*command)
    return json.loads(output) if output.strip() else None


def read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    """Wait for the kernel, which makes and removes device nodes in its own time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s:g} s still waiting for {what}"
        time.sleep(0.05)
