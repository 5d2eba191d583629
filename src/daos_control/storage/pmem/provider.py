"""Scan, prepare and reset, as root: the helper's side.

The platform is Optane where the kernel or ipmctl knows modules of that kind, and else whatever modules the kernel
knows. A decision is made from one survey (`decisions.py`) and carried out step by step; each step is safe to begin
again from, since the next run surveys anew.
"""

import errno
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from daos_control.faults import Fault
from daos_control.faults import pbin as pbin_faults
from daos_control.faults import pmem as faults
from daos_control.faults import storage as storage_faults
from daos_control.storage import mounts
from daos_control.storage.helper import steps
from daos_control.storage.helper.steps import Step
from daos_control.storage.pmem import decisions, holdings, nvdimm, optane, programs
from daos_control.storage.pmem.decisions import Action, Plan, Verb
from daos_control.storage.pmem.library import LibraryError
from daos_control.storage.pmem.messages import PmemSocket, ScmPrepare, ScmPrepareReply, ScmScan, ScmScanReply
from daos_control.storage.pmem.model import Module, SocketState, State, Survey
from daos_control.storage.pmem.outputs import OutputError
from daos_control.storage.pmem.programs import NDCTL, ProgramError

T = TypeVar("T")

PREPARE, RESET = "scm_prepare", "scm_reset"

_ROUNDS_MAX = 3  # a survey shows everything, or what was disabled is enabled first: two rounds do


def scan(request: ScmScan) -> ScmScanReply:
    """Modules, and the namespaces that are enabled. No modules is an empty reply.

    Raises Fault 1, 2 or 208, unless the server is not meant to use persistent memory.
    """
    try:
        found = modules(request.socket_id)
        if not found:
            return ScmScanReply()
        return ScmScanReply(found, _examined(lambda: nvdimm.namespaces(request.socket_id)))
    except Fault as fault:
        if request.pmem_in_config:
            raise
        sys.stderr.write(f"persistent memory, which the configuration does not use, is not shown: {fault}\n")
        return ScmScanReply()


def modules(socket: int | None) -> tuple[Module, ...]:
    """The modules of a socket, or of all. Raises Fault 1, 2 or 208."""
    if _goals():
        found = _examined(lambda: optane.modules(socket))
        if not found and _kernel_has_optane():
            raise programs.missing(programs.IPMCTL)
        return found
    own = [module.module for module in nvdimm.modules()]
    return tuple(module for module in own if socket in (None, module.socket_id))


def prepare(request: ScmPrepare) -> ScmPrepareReply:
    """Prepare or reset. Raises Fault 1, 2, 101, 103, 208, 212 or 213; what stands against it is found before
    anything is changed."""
    count = request.nr_namespaces_per_socket or decisions.NAMESPACES_MIN
    if not decisions.NAMESPACES_MIN <= count <= decisions.NAMESPACES_MAX:
        raise pbin_faults.helper_request_failed(
            f"{count} namespaces per socket are not possible",
            f"Ask for {decisions.NAMESPACES_MIN} to {decisions.NAMESPACES_MAX} (--scm-ns-per-socket).",
        )
    if not modules(request.socket_id):
        return ScmPrepareReply(PmemSocket(request.socket_id, State.NO_MODULES))
    return _reset(request) if request.reset else _prepare(request, count)


def _prepare(request: ScmPrepare, count: int) -> ScmPrepareReply:
    def plan(survey: Survey) -> Plan:
        unlabelled = _examined(lambda: holdings.inspect(n for n in survey.namespaces if n.unlabelled))
        return decisions.plan_prepare(survey, count, request.socket_id, unlabelled, force=request.force)

    found = _carry_out(PREPARE, request.socket_id, plan)
    if found.reboot:
        return _reply(found.found, reboot=True)
    survey = _survey(request.socket_id)
    state = decisions.check_prepared(survey, count)
    enabled = tuple(namespace for namespace in survey.namespaces if namespace.enabled)
    return ScmPrepareReply(PmemSocket(state.socket_id, state.state), False, enabled)


def _reset(request: ScmPrepare) -> ScmPrepareReply:
    def plan(survey: Survey) -> Plan:
        made = _examined(lambda: holdings.inspect(n for n in survey.namespaces if not n.unlabelled))
        return decisions.plan_reset(survey, request.socket_id, made, force=request.force)

    done = _carry_out(RESET, request.socket_id, plan)
    if done.reboot or done.found.state is State.NO_REGIONS:
        return _reply(done.found, reboot=done.reboot)
    return _reply(decisions.state_of(_survey(request.socket_id)))


def _carry_out(operation: str, socket: int | None, plan: Callable[[Survey], Plan]) -> Plan:
    """Survey, plan and act, until the plan is the last one; that plan."""
    for _ in range(_ROUNDS_MAX):
        made = plan(_survey(socket))
        steps.run(operation, [_step(action) for action in made.actions])
        if not made.again:
            return made
    raise faults.discovery_failed("regions or namespaces that were enabled are still shown as disabled")


def _step(action: Action) -> Step:
    return Step(action.verb.value, lambda: _act(action))


def _act(action: Action) -> None:
    if action.verb is Verb.UNMOUNT:
        _unmount(Path(action.target))
        return
    for command in commands(action):
        try:
            programs.change(command)
        except ProgramError as error:
            raise faults.command_failed(" ".join(command), error.reason) from error


def commands(action: Action) -> Sequence[list[str]]:
    """What is run for an action."""
    target = action.target
    match action.verb:
        case Verb.DELETE_GOALS:
            return [optane.delete_goals_command(action.socket)]
        case Verb.CREATE_GOALS:
            return [optane.create_goals_command(action.socket)]
        case Verb.ENABLE_REGION:
            return [[NDCTL, "enable-region", target]]
        case Verb.LABEL_REGION:
            return [
                [NDCTL, "disable-region", target],
                [NDCTL, "init-labels", *action.modules],
                [NDCTL, "enable-region", target],
            ]
        case Verb.CREATE:
            return [[NDCTL, "create-namespace", "--region", target, "--size", str(action.size)]]
        case Verb.CONVERT:
            return [[NDCTL, "create-namespace", "-f", "-e", target, "--mode", "fsdax"]]
        case Verb.ENABLE:
            return [[NDCTL, "enable-namespace", target]]
        case Verb.DISABLE:
            return [[NDCTL, "disable-namespace", target]]
        case Verb.DESTROY:
            return [[NDCTL, "destroy-namespace", target]]
    raise AssertionError(f"{action.verb} is no command")


def _unmount(path: Path) -> None:
    try:
        mounts.unmount(path)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise storage_faults.mount_busy(str(path)) from error
        raise storage_faults.mount_failed("(unmount)", str(path), error.strerror or str(error)) from error


def _goals() -> bool:
    """Whether the memory is Optane's, or there may be such that the kernel does not show."""
    known = nvdimm.modules()
    return not known or any(module.vendor == nvdimm.OPTANE_VENDOR for module in known)


def _kernel_has_optane() -> bool:
    return any(module.vendor == nvdimm.OPTANE_VENDOR for module in nvdimm.modules())


def _survey(socket: int | None) -> Survey:
    return _examined(lambda: optane.survey(socket) if _goals() else nvdimm.survey(socket))


def _examined(look: Callable[[], T]) -> T:
    """What a look shows; errors of programs and libraries become Fault 208."""
    try:
        return look()
    except (ProgramError, OutputError, LibraryError, OSError) as error:
        raise faults.discovery_failed(str(error)) from error


def _reply(found: SocketState, *, reboot: bool = False) -> ScmPrepareReply:
    return ScmPrepareReply(PmemSocket(found.socket_id, found.state), reboot)
