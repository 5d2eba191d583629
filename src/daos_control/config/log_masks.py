"""The names of the engine's log: levels, debug streams and subsystems, and the texts made of them."""

import re

from daos_control.config.problems import nearest_key
from daos_control.config.values import ValueProblem

LENGTH_MAX = 1023

LEVELS = ("DEBUG", "DBUG", "INFO", "NOTE", "WARN", "ERROR", "ERR", "CRIT", "ALRT", "FATAL", "EMRG", "EMIT")
STREAMS = (
    "ALL",
    "MD",
    "PL",
    "MGMT",
    "EPC",
    "DF",
    "REBUILD",
    "SEC",
    "CSUM",
    "GROUP_DEFAULT",
    "GROUP_METADATA_ONLY",
    "GROUP_METADATA",
    "ANY",
    "TRACE",
    "MEM",
    "NET",
    "IO",
    "TEST",
)
# fmt: off
SUBSYSTEMS = (
    "ALL", "DAOS", "ARRAY", "KV", "COMMON", "TREE", "VOS", "CLIENT", "SERVER", "RDB", "RSVC",
    "POOL", "CONTAINER", "OBJECT", "PLACEMENT", "REBUILD", "MGMT", "BIO", "TESTS", "DFS", "DUNS", "DRPC",
    "SECURITY", "DTX", "DFUSE", "IL", "CSUM", "STACK", "MISC", "MEM", "SWIM", "FI", "TELEM",
    "CRT", "RPC", "BULK", "CORPC", "GRP", "LM", "HG", "EXTERNAL", "ST", "IV", "CTL",
)
# fmt: on


def _check_characters(text: str) -> None:
    if len(text) > LENGTH_MAX:
        raise ValueProblem(f"is {len(text)} characters long", f"at most {LENGTH_MAX}")
    if not re.fullmatch(r"[a-zA-Z,=_]+", text):
        raise ValueProblem("holds characters that no log mask has", "letters, commas, equal signs and underscores")


def _check_name(name: str, known: tuple[str, ...], what: str) -> None:
    if name.upper() in known:
        return
    nearest = nearest_key(name, known)
    hint = f"did you mean {nearest}?" if nearest else "one of " + ", ".join(known)
    raise ValueProblem(f'"{name}" is no {what}', hint)


def _check_names(text: str, known: tuple[str, ...], what: str) -> None:
    if not text:
        return
    _check_characters(text)
    names = text.split(",")
    for name in names:
        _check_name(name, known, what)
        if name.upper() == "ALL" and len(names) > 1:
            raise ValueProblem("ALL cannot stand beside other names", "ALL alone, or names without it")


def check_log_mask(mask: str) -> None:
    """A base level, assignments SUBSYSTEM=LEVEL, or the first followed by the second; raises ValueProblem."""
    if not mask:
        return
    _check_characters(mask)
    for index, token in enumerate(mask.split(",")):
        subsystem, equals, level = token.partition("=")
        if not equals:
            if index:
                raise ValueProblem(f'"{token}" assigns no level', "after the first comma: SUBSYSTEM=LEVEL")
            _check_name(token, LEVELS, "log level")
            continue
        if "=" in level:
            raise ValueProblem(f'"{token}" has more than one equal sign', "SUBSYSTEM=LEVEL")
        _check_name(level, LEVELS, "log level")
        if subsystem.upper() == "ALL":
            raise ValueProblem("ALL cannot be given a level", "the level alone, first, is that of all subsystems")
        _check_name(subsystem, SUBSYSTEMS, "log subsystem")


def check_streams(text: str) -> None:
    """The value of DD_MASK; raises ValueProblem."""
    _check_names(text, STREAMS, "debug stream")


def check_subsystems(text: str) -> None:
    """The value of DD_SUBSYS; raises ValueProblem."""
    _check_names(text, SUBSYSTEMS, "log subsystem")
