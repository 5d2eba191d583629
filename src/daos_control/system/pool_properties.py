"""Properties of pools: number, name, values and default, in one table.

dmg parses and prints by it, the embedded engine takes its defaults and limits from it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from daos_control.faults import ControlError
from daos_control.system import sizes
from daos_control.system.names import check_label
from daos_control.system.ranks import RankSet

Value = int | str
_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF
_NUMBER = re.compile(r"\d{1,20}", re.ASCII)
NOT_SET = "not set"


class Number(IntEnum):
    """The numbers of pool properties; they are on the wire and never change."""

    LABEL = 1
    ACL = 2
    SPACE_RB = 3
    SELF_HEAL = 4
    RECLAIM = 5
    OWNER = 6
    OWNER_GROUP = 7
    SVC_LIST = 8
    EC_CELL_SZ = 9
    DATA_THRESH = 10
    RD_FAC = 11
    EC_PDA = 12
    RP_PDA = 13
    GLOBAL_VERSION = 14
    UPGRADE_STATUS = 15
    SCRUB = 16
    SCRUB_FREQ = 17
    SCRUB_THRESH = 18
    SVC_RF = 19
    OBJECT_VERSION = 20
    PERF_DOMAIN = 21
    CHECKPOINT = 22
    CHECKPOINT_FREQ = 23
    CHECKPOINT_THRESH = 24
    REINTEGRATION = 25
    SVC_OPS_ENABLED = 26
    SVC_OPS_ENTRY_AGE = 27


class Codec(Protocol):
    """How values of a property are written. `parse` raises ControlError saying what is allowed."""

    def parse(self, text: str) -> Value: ...
    def format(self, value: Value | None) -> str: ...
    def to_json(self, value: Value | None) -> object: ...
    def allows(self, value: Value) -> bool:
        """Whether an engine may take `value` as it came over the wire."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """A number with a name; the first name of a number is the one it is printed by."""

    values: Mapping[str, int]

    def parse(self, text: str) -> Value:
        value = self.values.get(text.lower())
        if value is None:
            raise ControlError(f'"{text}" is none of {", ".join(sorted(self.values))}')
        return value

    def format(self, value: Value | None) -> str:
        if value is None:
            return "value not set"
        return next((name for name, number in self.values.items() if number == value), str(value))

    def to_json(self, value: Value | None) -> object:
        return self.format(value)

    def allows(self, value: Value) -> bool:
        return value in self.values.values()


@dataclass(frozen=True, slots=True)
class Flags(Choice):
    """A choice of combinations: DAOS prints those without a name as "unknown"."""

    def format(self, value: Value | None) -> str:
        if not isinstance(value, int):
            return NOT_SET
        return next((name for name, number in self.values.items() if number == value), "unknown")


@dataclass(frozen=True, slots=True)
class Integer:
    """A number from `low` to `high`; with `percent` it may be written with the sign, and is printed so."""

    low: int = 0
    high: int = _U64
    percent: bool = False
    percent_printed: bool = False

    def parse(self, text: str) -> Value:
        digits = text.replace("%", "") if self.percent else text
        if not _NUMBER.fullmatch(digits) or not self.low <= int(digits) <= self.high:
            raise ControlError(f'"{text}" is no number from {self.low} to {self.high}')
        return int(digits)

    def format(self, value: Value | None) -> str:
        if not isinstance(value, int):
            return NOT_SET
        return f"{value}%" if self.percent_printed else str(value)

    def to_json(self, value: Value | None) -> object:
        return value

    def allows(self, value: Value) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes, written as "128KiB" and printed as "128 KiB"; `multiple_of` where not every number will do."""

    low: int = 0
    high: int = _U32
    multiple_of: int = 1

    def parse(self, text: str) -> Value:
        size = sizes.parse(text)
        if not self.allows(size):
            hint = f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
            low, high = sizes.format_binary(self.low), sizes.format_binary(self.high)
            raise ControlError(f'"{text}" is no size from {low} to {high}{hint}')
        return size

    def format(self, value: Value | None) -> str:
        return sizes.format_binary(value) if isinstance(value, int) else NOT_SET

    def to_json(self, value: Value | None) -> object:
        return value

    def allows(self, value: Value) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high and value % self.multiple_of == 0


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `check` raises ControlError where it is none that may be set."""

    check: Callable[[str], None]

    def parse(self, text: str) -> Value:
        self.check(text)
        return text

    def format(self, value: Value | None) -> str:
        return "value not set" if value is None else str(value)

    def to_json(self, value: Value | None) -> object:
        return self.format(value)

    def allows(self, value: Value) -> bool:
        try:
            self.check(str(value))
        except ControlError:
            return False
        return isinstance(value, str)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Ranks as an engine prints them ("[0-2]"); a list in JSON."""

    def parse(self, text: str) -> Value:
        RankSet.parse(text)
        return text

    def format(self, value: Value | None) -> str:
        return "value not set" if value is None else str(value)

    def to_json(self, value: Value | None) -> object:
        return RankSet.parse(str(value or "")).to_json()

    def allows(self, value: Value) -> bool:
        return isinstance(value, str)


@dataclass(frozen=True, slots=True)
class PoolProperty:
    """One property. `default` is an engine's (None: it has none of its own), `settable` by `dmg pool set-prop`."""

    number: Number
    name: str
    description: str
    codec: Codec = field(repr=False)
    default: Value | None
    settable: bool = True

    def parse(self, text: str) -> Value:
        """The value of what a person wrote. Raises ControlError where that is not allowed."""
        if not self.settable:
            raise ControlError(f"pool property {self.name} cannot be set")
        try:
            return self.codec.parse(text)
        except ControlError as error:
            raise ControlError(f"invalid value for pool property {self.name}: {error}") from error

    def format(self, value: Value | None) -> str:
        """The value as dmg prints it."""
        return self.codec.format(value)

    def to_json(self, value: Value | None) -> object:
        """The value as it stands in dmg's JSON."""
        return self.codec.to_json(value)

    def allows(self, value: Value) -> bool:
        """Whether an engine takes the value."""
        return self.codec.allows(value)


_N = Number
_SELF_HEAL = Flags(
    {
        "none": 0,
        "exclude": 1,
        "rebuild": 2,
        "delay_rebuild": 4,
        "exclude;rebuild": 3,
        "rebuild;exclude": 3,
        "exclude;delay_rebuild": 5,
        "delay_rebuild;exclude": 5,
    }
)

# In the order of names, in which dmg lists them.
TABLE: tuple[PoolProperty, ...] = (
    PoolProperty(
        _N.CHECKPOINT,
        "checkpoint",
        "WAL checkpointing behavior",
        Choice({"disabled": 0, "timed": 1, "lazy": 2}),
        1,
    ),
    PoolProperty(
        _N.CHECKPOINT_FREQ, "checkpoint_freq", "WAL checkpointing frequency, in seconds", Integer(1, 1 << 20), 5
    ),
    PoolProperty(
        _N.CHECKPOINT_THRESH, "checkpoint_thresh", "WAL checkpoint threshold, in percentage", Integer(10, 75), 50
    ),
    PoolProperty(_N.DATA_THRESH, "data_thresh", "Data bdev threshold size", Size(), 4096),
    PoolProperty(_N.EC_CELL_SZ, "ec_cell_sz", "EC cell size", Size(4096, 1 << 20, multiple_of=32), 128 << 10),
    PoolProperty(_N.EC_PDA, "ec_pda", "Performance domain affinity level of EC", Integer(1, _U32), 1),
    PoolProperty(_N.GLOBAL_VERSION, "global_version", "Global Version", Integer(0, _U32), 4, settable=False),
    PoolProperty(_N.LABEL, "label", "Pool label", Text(check_label), None),
    PoolProperty(
        _N.PERF_DOMAIN, "perf_domain", "Pool performance domain", Choice({"root": 255, "group": 200}), 255
    ),
    PoolProperty(_N.RD_FAC, "rd_fac", "Pool redundancy factor", Integer(0, 4), 3),
    PoolProperty(_N.RECLAIM, "reclaim", "Reclaim strategy", Choice({"disabled": 0, "lazy": 1, "time": 4}), 1),
    PoolProperty(
        _N.REINTEGRATION,
        "reintegration",
        "Reintegration mode",
        Choice({"data_sync": 0, "no_data_sync": 1, "incremental": 2}),
        0,
    ),
    PoolProperty(_N.RP_PDA, "rp_pda", "Performance domain affinity level of RP", Integer(1, _U32), _U32),
    PoolProperty(_N.SCRUB, "scrub", "Checksum scrubbing mode", Choice({"off": 0, "lazy": 1, "timed": 2}), 0),
    PoolProperty(
        _N.SCRUB_FREQ, "scrub_freq", "Checksum scrubbing frequency", Integer(percent=True), 7 * 24 * 60 * 60
    ),
    PoolProperty(_N.SCRUB_THRESH, "scrub_thresh", "Checksum scrubbing threshold", Integer(percent=True), 0),
    PoolProperty(_N.SELF_HEAL, "self_heal", "Self-healing policy", _SELF_HEAL, 3),
    PoolProperty(
        _N.SPACE_RB, "space_rb", "Rebuild space ratio", Integer(0, 100, percent=True, percent_printed=True), 5
    ),
    PoolProperty(_N.SVC_LIST, "svc_list", "Pool service replica list", Ranks(), None, settable=False),
    PoolProperty(
        _N.SVC_OPS_ENABLED,
        "svc_ops_enabled",
        "Metadata duplicate operations detection enabled",
        Integer(0, 1),
        1,
    ),
    PoolProperty(
        _N.SVC_OPS_ENTRY_AGE,
        "svc_ops_entry_age",
        "Metadata duplicate operations KVS max entry age, in seconds",
        Integer(60, 600),
        300,
    ),
    PoolProperty(_N.SVC_RF, "svc_rf", "Pool service redundancy factor", Integer(0, 4), 2),
    PoolProperty(
        _N.UPGRADE_STATUS,
        "upgrade_status",
        "Upgrade Status",
        Choice({"not started": 0, "in progress": 1, "completed": 2, "failed": 3}),
        0,
        settable=False,
    ),
)
_BY_NAME = {p.name: p for p in TABLE}
_BY_NUMBER: dict[int, PoolProperty] = {p.number: p for p in TABLE}
_OLD_NAMES = {"rf": "rd_fac"}


def by_name(name: str) -> PoolProperty:
    """The property of that name, or of a name it had once. Raises ControlError where there is none."""
    found = _BY_NAME.get(_OLD_NAMES.get(name, name))
    if found is None:
        raise ControlError(f'unknown property "{name}" (known: {", ".join(_BY_NAME)})')
    return found


def by_number(number: int) -> PoolProperty | None:
    """The property of that number; None for those that dmg does not know (ACL, owner, ...)."""
    return _BY_NUMBER.get(number)
