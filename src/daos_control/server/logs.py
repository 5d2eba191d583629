"""The server's log: where it goes, how its lines look, and the two levels that DAOS has beyond the usual ones."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from daos_control.server import problems

NOTICE: Final = 25
TRACE: Final = 5
_FILE_MODE = 0o664

_LEVELS: Final = {
    "DISABLED": logging.CRITICAL + 10,
    "ERROR": logging.ERROR,
    "NOTICE": NOTICE,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": TRACE,
}
_NAMES: Final = {
    TRACE: "TRACE",
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    NOTICE: "NOTICE",
    logging.WARNING: "NOTICE",  # DAOS has no warnings
    logging.ERROR: "ERROR",
    logging.CRITICAL: "ERROR",
}


def configure(*, mask: str, file: Path | None, as_json: bool, stream: TextIO | None = None) -> None:
    """Set up the root logger: to standard output, and to `file` where given.

    `mask` is a level as control_log_mask has it. The file is appended to, and made with mode 0664. Raises the Fault
    of a file that cannot be opened.
    """
    for level, name in _NAMES.items():
        logging.addLevelName(level, name)
    formatter: logging.Formatter = _JsonFormatter() if as_json else _TextFormatter()
    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stdout)]
    if file is not None:
        handlers.append(logging.StreamHandler(_open(file)))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(_LEVELS[mask.upper()])
    # What libraries say in detail is theirs; at DEBUG it would drown the server's own.
    for library in ("asyncio", "grpc"):
        logging.getLogger(library).setLevel(max(root.level, logging.INFO))


def _open(file: Path) -> TextIO:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        raise problems.bad_log_file(file, error.strerror or str(error)) from error
    return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")


class _TextFormatter(logging.Formatter):
    """ "daos_server INFO 2026-11-23T04:30:00.123+00:00 the text"."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        line = f"daos_server {_NAMES.get(record.levelno, record.levelname)} {_time(record)} {record.message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _JsonFormatter(logging.Formatter):
    """One object per line, with the keys of DAOS's own (`level`, `time`, `message`) and where it came from."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "level": _NAMES.get(record.levelno, record.levelname),
            "time": _time(record),
            "source": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
