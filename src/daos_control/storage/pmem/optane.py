"""Optane modules: ipmctl, and its library for what the program is not needed for."""

from collections.abc import Sequence

from daos_control.faults import pbin as pbin_faults
from daos_control.storage.pmem import library, nvdimm, outputs, programs
from daos_control.storage.pmem.model import Module, Region, Survey
from daos_control.storage.pmem.programs import IPMCTL, ProgramError

_FIELDS = (
    "DimmID,ChannelID,ChannelPos,MemControllerID,SocketID,PhysicalID,Capacity,DimmUID,PartNumber,FWVersion,"
    "HealthState"
)


def modules(socket: int | None) -> tuple[Module, ...]:
    """The modules of a socket, or all: from ipmctl, else from its library; none where neither is installed.

    Raises Fault 2, ProgramError, OutputError or LibraryError.
    """
    if not programs.installed(IPMCTL):
        lib = library.find()
        found = lib.modules() if lib else ()
        return tuple(module for module in found if socket in (None, module.socket_id))
    check_version()
    command = [IPMCTL, "show", "-o", "nvmxml", "-d", _FIELDS, "-dimm"]
    try:
        return outputs.ipmctl_modules(programs.run(with_socket(command, socket)))
    except ProgramError as error:
        if outputs.NO_MODULES in error.output:  # it calls this an error
            return ()
        raise


def survey(socket: int | None) -> Survey:
    """What there is on a socket, or on all. Raises Fault 1, 2, ProgramError or OutputError."""
    check_version()
    return Survey(True, _regions(socket), nvdimm.kernel_regions(None), nvdimm.configured(socket))


def check_version() -> None:
    """Fault 1 where ipmctl is not installed, Fault 2 where its version is known to do wrong."""
    version = outputs.ipmctl_version(programs.run([IPMCTL, "version"]))
    if version in outputs.BAD_VERSIONS:
        raise pbin_faults.unusable_software_version(IPMCTL, version)


def create_goals_command(socket: int | None) -> list[str]:
    """Regions are made of all memory of the sockets, interleaved, at the next reboot."""
    return with_socket([IPMCTL, "create", "-f", "-goal", "PersistentMemoryType=AppDirect"], socket)


def delete_goals_command(socket: int | None) -> list[str]:
    return with_socket([IPMCTL, "delete", "-goal"], socket)


def with_socket(command: Sequence[str], socket: int | None) -> list[str]:
    """A command for one socket. ipmctl wants the socket right after -goal, and else at the end."""
    if socket is None:
        return list(command)
    place = command.index("-goal") + 1 if "-goal" in command else len(command)
    return [*command[:place], "-socket", str(socket), *command[place:]]


def _regions(socket: int | None) -> tuple[Region, ...]:
    command = [IPMCTL, "show", "-o", "nvmxml", "-region"]
    try:
        return outputs.ipmctl_regions(programs.run(with_socket(command, socket)))
    except ProgramError as error:
        if outputs.NO_REGIONS in error.output:
            return ()
        raise
