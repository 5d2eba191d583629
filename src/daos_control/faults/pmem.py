"""Faults of preparing persistent memory (codes 208-213, and 101, 103 of what keeps a namespace from removal)."""

from daos_control.faults.code import Code
from daos_control.faults.core import Fault

_RECREATE = (
    "Run 'daos_server scm reset', reboot, run 'daos_server scm prepare' to have regions made in interleaved "
    "AppDirect mode, reboot, and run it once more to have the namespaces made."
)


def discovery_failed(reason: str) -> Fault:
    return Fault(
        "scm",
        Code.SCM_DISCOVERY_FAILED,
        f"the persistent memory of this host cannot be examined: {reason}",
        "Check that these work on this host, as root: 'ipmctl show -dimm', 'ndctl list -RN'.",
    )


def command_failed(command: str, reason: str) -> Fault:
    """A change was begun and a program failed; what was done before it stays."""
    return Fault(
        "scm",
        Code.SCM_INVALID_PMEM,
        f"'{command}' failed: {reason}",
        "Remove the cause and run the command again: it goes on from what it finds.",
    )


def not_interleaved(socket: int) -> Fault:
    return _bad_region(f"the persistent memory region of socket {socket} is not interleaved", _RECREATE)


def not_healthy(socket: int) -> Fault:
    return _bad_region(
        f"the persistent memory region of socket {socket} is not healthy",
        f"Find the faulty module with 'ipmctl show -dimm' and replace it. {_RECREATE}",
    )


def unknown_mode(socket: int) -> Fault:
    return _bad_region(f"the persistent memory region of socket {socket} is not in AppDirect mode", _RECREATE)


def partly_free(socket: int) -> Fault:
    return _bad_region(
        f"the persistent memory region of socket {socket} is used in part, by namespaces of other sizes",
        "Remove its namespaces with 'daos_server scm reset' (look at them first: 'ndctl list -N'), then run "
        "'daos_server scm prepare' again.",
    )


def several_regions(socket: int) -> Fault:
    return _bad_region(f"socket {socket} has several persistent memory regions, where one is wanted", _RECREATE)


def wrong_namespaces(socket: int, found: int, wanted: int) -> Fault:
    """The memory is prepared, in another way than asked for."""
    return _invalid(
        f"the persistent memory region of socket {socket} has {found} namespaces, where {wanted} are wanted",
        "Nothing was removed. To keep them, run 'daos_server scm prepare' with --scm-ns-per-socket set to their "
        "number. To have them made anew, run 'daos_server scm reset' first.",
    )


def not_divisible(region: str, free: int, count: int, unit: int) -> Fault:
    return _invalid(
        f"the {free} bytes that are free in {region} cannot be divided into {count} namespaces of whole units of "
        f"{unit} bytes",
        "Nothing was changed. Run 'daos_server scm prepare' with another --scm-ns-per-socket.",
    )


def no_labels(region: str) -> Fault:
    return _invalid(
        f"the modules of {region} have no label area, so that it takes one namespace only",
        "Nothing was changed. Run 'daos_server scm prepare' with --scm-ns-per-socket 1.",
    )


def region_unknown(socket: int) -> Fault:
    return _invalid(
        f"the kernel shows no region for the persistent memory of socket {socket}",
        "Reboot, so that new memory allocation goals take effect, and run the command again. If that does not "
        f"help: {_RECREATE}",
    )


def not_prepared(state: str) -> Fault:
    """Everything was done, and the memory is still not as it should be."""
    return _invalid(f"the persistent memory is in state {state} after it was prepared", _RECREATE)


def namespace_in_use(namespace: str, users: str, *, forced: bool) -> Fault:
    """A namespace is mounted or used by something else. A mount gives way to force, other users do not."""
    cure = "Stop what uses it, and run the command again."
    if not forced:
        cure = f"Unmount it or stop what uses it, and run the command again; --force unmounts it. {cure}"
    return Fault(
        "scm",
        Code.STORAGE_DEVICE_ALREADY_MOUNTED,
        f"namespace {namespace} is in use: {users}",
        f"Nothing was changed. {cure}",
    )


def namespace_foreign(namespace: str, found: str) -> Fault:
    """A namespace holds something that is not DAOS's, and would be destroyed."""
    return Fault(
        "scm",
        Code.STORAGE_ALREADY_FORMATTED,
        f"namespace {namespace} holds something that DAOS did not put there: {found}",
        "Nothing was changed. If its content may be destroyed, repeat the command with --force.",
    )


def _bad_region(description: str, resolution: str) -> Fault:
    return Fault("storage", Code.SCM_BAD_REGION, description, resolution)


def _invalid(description: str, resolution: str) -> Fault:
    return Fault("storage", Code.SCM_INVALID_PMEM, description, resolution)
