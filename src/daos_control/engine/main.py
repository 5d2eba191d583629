"""`daos_engine_embedded`: the program. Exit status 0 after an orderly stop, 1 where it could not start or serve."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from daos_control.engine.errors import StartError
from daos_control.engine.options import USAGE, Options, UsageRequested, parse

PROGRAM = "daos_engine_embedded"


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """A signal before the engine runs: nothing is open yet."""
    raise SystemExit(0)


def main() -> int:
    """Entry point of the program."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        options = parse(sys.argv[1:], os.environ)
        _run(options)
    except UsageRequested:
        sys.stdout.write(USAGE)
        return 0
    except StartError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    return 0


def _run(options: Options) -> None:
    # Imported late: a wrong command line is answered at once.
    import asyncio

    from daos_control.engine import log
    from daos_control.engine.engine import serve

    try:
        log.open_log(options.log_file, options.log_mask)
    except OSError as error:
        raise StartError(f"log file {options.log_file} (D_LOG_FILE): {error.strerror}") from error
    asyncio.run(serve(options))


if __name__ == "__main__":
    raise SystemExit(main())
