"""What a command says: text, errors, or one JSON document; and a sign of life while it waits."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from daos_control.cli import gojson
from daos_control.client.errors import ManagementServiceUnreachableError, root_cause
from daos_control.faults import DaosError, Fault, Status

PROGRESS_AFTER_SECONDS = 1.0


@dataclass(slots=True)
class Console:
    """Where the output of one run of a program goes.

    In JSON mode nothing but the document is written to the standard output. `log_file` gets a copy of everything.
    """

    program: str
    json: bool = False
    json_logs: bool = False
    debugging: bool = False
    log_file: Path | None = None
    wrote_json: bool = field(default=False, init=False)

    def info(self, text: str) -> None:
        """Write a result."""
        self._log("INFO", text)
        if not self.json:
            if self.json_logs:
                self._write(sys.stdout, _json_line("INFO", text))
            else:
                self._write(sys.stdout, _with_newline(text))

    def notice(self, text: str) -> None:
        self._say("NOTICE", text)

    def error(self, text: str) -> None:
        self._say("ERROR", text)

    def debug(self, text: str) -> None:
        if self.debugging:
            self._say("DEBUG", text)

    def document(self, response: object, failure: Exception | None = None) -> None:
        """Write the JSON envelope around `response`; once, and nothing where text is asked for."""
        if not self.json or self.wrote_json:
            return
        self.wrote_json = True
        envelope = {
            "response": gojson.encode(response),
            "error": None if failure is None else str(failure),
            "status": status_of(failure),
        }
        self._write(sys.stdout, gojson.dumps(envelope) + "\n")

    def failed(self, failure: Exception) -> None:
        """Say why the program fails, and what to do about it where the error knows."""
        self.error(f"{self.program}: {failure}")
        cause = root_cause(failure)
        if isinstance(cause, ManagementServiceUnreachableError):
            cause = cause.cause
        if isinstance(cause, Fault) and cause.resolution:
            domain = cause.domain or "unknown"
            cure = json.dumps(cause.resolution, ensure_ascii=False)
            self.error(f"{self.program}: {domain}: code = {cause.code} resolution = {cure}")

    @contextmanager
    def waiting(self, text: str) -> Iterator["Waiting"]:
        """Show that something is under way, on a terminal and once it has taken a second."""
        waiting = Waiting(text, enabled=not self.json and sys.stderr.isatty() and sys.stdout.isatty())
        try:
            yield waiting
        finally:
            waiting.stop()

    def _say(self, level: str, text: str) -> None:
        self._log(level, text)
        line = _json_line(level, text) if self.json_logs else _with_newline(f"{level}: {text}")
        self._write(sys.stderr, line)

    def _log(self, level: str, text: str) -> None:
        if self.log_file is not None:
            stamp = time.strftime("%Y/%m/%d %H:%M:%S")
            with self.log_file.open("a", encoding="utf-8") as log:
                log.write(_with_newline(f"{self.program} {level} {stamp} {text}"))

    def _write(self, stream: object, text: str) -> None:
        assert hasattr(stream, "write")
        assert hasattr(stream, "flush")
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            # The reader has seen enough ("| head"); the interpreter must not complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None


class Waiting:
    """A line on the terminal that turns while something is waited for; its text may be changed."""

    def __init__(self, text: str, *, enabled: bool) -> None:
        self.text = text
        self._enabled = enabled
        self._status: object | None = None

    @property
    def enabled(self) -> bool:
        return self._enabled

    def start(self) -> None:
        """Show it. The library that draws it is only loaded now: most commands are done before."""
        if self._enabled and self._status is None:
            from rich.console import Console as Terminal
            from rich.text import Text

            status = Terminal(stderr=True).status(Text(self.text))  # not as markup: it may hold what a server said
            status.start()
            self._status = status

    def update(self, text: str) -> None:
        self.text = text
        if self._status is not None:
            from rich.status import Status as Spinner
            from rich.text import Text

            assert isinstance(self._status, Spinner)
            self._status.update(Text(text))

    def stop(self) -> None:
        self._enabled = False
        if self._status is not None:
            from rich.status import Status as Spinner

            assert isinstance(self._status, Spinner)
            self._status.stop()
            self._status = None


def status_of(failure: Exception | None) -> int:
    """The number for a failure in the envelope: that of DAOS where it is one, else "unspecified"."""
    if failure is None:
        return 0
    cause = root_cause(failure)
    return int(cause.status) if isinstance(cause, DaosError) else int(Status.MISC)


def _with_newline(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _json_line(level: str, text: str) -> str:
    stamp = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
    return json.dumps({"level": level, "time": stamp, "message": text.rstrip("\n")}) + "\n"
