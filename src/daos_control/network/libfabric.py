"""What libfabric says, where it is installed: which of its providers work with which network devices."""

import json
import logging
import subprocess
import sys
from typing import Final

from daos_control.network import fabric_probe
from daos_control.network.offers import Offer

log = logging.getLogger(__name__)

LIBRARY: Final = "libfabric.so.1"
TIMEOUT_SECONDS: Final = 10.0

_RELIABLE_DATAGRAM = 3  # FI_EP_RDM
_INET = 2  # FI_SOCKADDR_IN


# Providers that DAOS can use, and the address format that it uses with each; None stands for any.
_PROVIDERS: Final[dict[str, int | None]] = {
    "shm": None,
    "sockets": _INET,
    "tcp": _INET,
    "tcp;ofi_rxm": _INET,
    "verbs;ofi_rxm": _INET,
    "psm2": None,
    "opx": None,
    "gni": None,
    "cxi": None,
}


def offers(library: str = LIBRARY, *, timeout: float = TIMEOUT_SECONDS) -> list[Offer] | None:
    """What libfabric offers, best first as DAOS counts; None where it is not installed, or does not answer.

    It is asked in a process of its own, which is ended after `timeout` seconds.
    """
    program = [sys.executable, "-P", fabric_probe.__file__, library]
    try:
        done = subprocess.run(program, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("libfabric could not be asked for its providers: %s", error)
        return None
    if done.returncode == fabric_probe.NO_LIBRARY:
        return None
    try:
        if done.returncode:
            raise ValueError(f"exit code {done.returncode}")
        return select(json.loads(done.stdout))
    except ValueError as error:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        log.warning("libfabric could not be asked for its providers: %s; it said: %s", error, said)
        return None


def select(listed: object) -> list[Offer]:
    """The usable ones of what the probe lists, each once. DAOS takes libfabric's list from its end, so that what
    stands last comes first. Raises ValueError for anything but such a list."""
    if not isinstance(listed, list):
        raise ValueError("no list")
    found: dict[Offer, None] = {}
    for entry in listed:
        match entry:
            case [str(provider), str(domain), int(endpoint), int(address_format)]:
                pass
            case _:
                raise ValueError(f"no entry: {entry!r}")
        if endpoint != _RELIABLE_DATAGRAM or provider not in _PROVIDERS:
            continue
        if _PROVIDERS[provider] in (None, address_format):
            found.setdefault(Offer(f"ofi+{provider}", domain))
    return list(reversed(found))
