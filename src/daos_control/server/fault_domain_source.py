"""Where this host stands: its fault domain, out of the configuration, a program, or its name."""

import os
import stat
import subprocess
from pathlib import Path

from daos_control.config.models import ServerConfig
from daos_control.faults import ControlError, serverconfig
from daos_control.system.fault_domain import FaultDomain

CALLBACK_SECONDS = 60.0
LEVELS_MAX = 2


def fault_domain(config: ServerConfig, *, hostname: str, trusted: Path) -> FaultDomain:
    """By fault_path, or fault_cb, or "/<hostname>"; one or two levels. Raises Faults 717 to 724.

    A program named by fault_cb is only run from under the directory `trusted`.
    """
    if config.fault_path and config.fault_cb is not None:
        raise serverconfig.fault_path_and_callback()
    if config.fault_path:
        return parse(config.fault_path)
    if config.fault_cb is not None:
        return parse(_ask(config.fault_cb, trusted))
    return parse("/" + hostname)


def parse(text: str) -> FaultDomain:
    """Raises Fault 717 where `text` is no fault domain or an empty one, 724 where it has too many levels."""
    try:
        domain = FaultDomain.parse(text)
    except ControlError as error:
        raise serverconfig.bad_fault_domain(str(error)) from error
    if domain.is_empty:
        raise serverconfig.bad_fault_domain("it has no level")
    if domain.levels > LEVELS_MAX:
        raise serverconfig.fault_domain_too_deep(domain.levels)
    return domain


def _ask(program: Path, trusted: Path) -> str:
    _check_trusted(program, trusted)
    try:
        done = subprocess.run(
            [str(program.absolute())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CALLBACK_SECONDS,
            check=False,
        )
    except PermissionError:
        raise serverconfig.fault_callback_permissions(str(program)) from None
    except subprocess.TimeoutExpired:
        raise serverconfig.fault_callback_failed(
            str(program), f"it was still running after {CALLBACK_SECONDS:.0f} s"
        ) from None
    except OSError as error:
        raise serverconfig.fault_callback_failed(str(program), error.strerror or str(error)) from error
    if done.returncode != 0:
        raise serverconfig.fault_callback_failed(str(program), f"it ended with status {done.returncode}")
    text = done.stdout.decode(errors="replace").strip()
    if not text:
        raise serverconfig.fault_callback_empty(str(program))
    return text


def _check_trusted(program: Path, trusted: Path) -> None:
    absolute, directory = Path(os.path.abspath(program)), Path(os.path.abspath(trusted))  # noqa: PTH100 - no links followed
    if not absolute.is_relative_to(directory):
        raise serverconfig.fault_callback_insecure(str(program), "it is in another directory", str(directory))
    try:
        found = absolute.lstat()
    except PermissionError:
        raise serverconfig.fault_callback_permissions(str(program)) from None
    except OSError:
        raise serverconfig.fault_callback_missing(str(program)) from None
    reason = ""
    if not stat.S_ISREG(found.st_mode):
        reason = "it is no regular file"
    elif found.st_mode & stat.S_ISUID:
        reason = "it has the set-uid bit"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = "others than its owner may write it"
    if reason:
        raise serverconfig.fault_callback_insecure(str(program), reason, str(directory))
