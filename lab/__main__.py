"""`./dev lab`: boot the machine and run the tests inside."""

import argparse
import signal
import sys
import time
from pathlib import Path

from lab import images, qemu, session
from lab.errors import LabError

TESTS = "lab/tests"
SMOKE = "lab/tests/test_hardware.py"
STATE = Path(".state/lab")


def main() -> int:
    """The exit code: pytest's, or 3 where the machine came to no result."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended in order, as by Ctrl-C
    try:
        qemu.find()
        started = time.monotonic()
        prepared = images.prepare(options.state)
        sys.stderr.write(f"lab: images ready after {time.monotonic() - started:.1f} s\n")
        return session.run(options.state, prepared, _request(options), keep=options.keep)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 3
    except KeyboardInterrupt:
        return 130


def _request(options: argparse.Namespace) -> session.Request:
    tests = options.run or [SMOKE if options.smoke else TESTS]
    arguments = ("-q", "--durations=8", *options.pytest, *tests)
    return session.Request(arguments, options.shell, options.accel, options.limit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev lab", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="only boot, and see that all devices are there")
    parser.add_argument("--run", action="append", metavar="TEST", help="run this file or test (may be repeated)")
    parser.add_argument("--shell", action="store_true", help="give a shell in the machine instead of running tests")
    parser.add_argument("--keep", action="store_true", help="keep the run's disks and logs, and say where")
    parser.add_argument(
        "--limit", type=float, default=1200.0, metavar="SECONDS", help="end the machine after this time"
    )
    parser.add_argument(
        "--accel", choices=("tcg", "kvm"), default="tcg", help="software emulation, or the host's virtualization"
    )
    parser.add_argument(
        "--state", type=lambda text: Path(text).resolve(), default=STATE.resolve(), help=argparse.SUPPRESS
    )
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest, after --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
