"""Faults of the management service alone; others are in `faults.server` and `faults.system`."""

from typing import Final

from daos_control.faults import Code, Fault


def checker_enabled(method: str) -> Fault:
    return Fault(
        "checker",
        Code.SYSTEM_CHECKER_ENABLED,
        f"{method} is refused while the system checker is enabled",
        "finish the check and disable the checker, then run the command again",
    )


def engine_lost(method: str, why: str) -> Fault:
    return Fault(
        "server",
        Code.SERVER_DATA_PLANE_NOT_STARTED,
        f"the engine was lost during {method}: {why}",
        "see with dmg system query which ranks are not joined, start them with dmg system start, and run the "
        "command again",
    )


def engine_refused(method: str, why: str) -> Fault:
    return Fault(
        "server",
        Code.SERVER_UNKNOWN,
        f"the engine did not answer {method} as it should: {why}",
        "check that daos_engine and daos_server are of the same version; the engine's log says more",
    )


def database_not_written(why: str) -> Fault:
    return Fault(
        "system",
        Code.SYSTEM_UNKNOWN,
        f"the system database could not be written, nothing was changed: {why}",
        "free space on, or repair, the file system that holds the system database, and run the command again",
    )


class InDoubtError(Exception):
    """A call that may have reached the engine and have been carried out there, although no good reply came back.

    `error` is what its caller should hear.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error: Final = error
