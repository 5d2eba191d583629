"""System attributes (a person's own), system properties, and the management service's own settings.

All three are kept in one map of the database, told apart by a prefix of the key.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag
from itertools import combinations

from daos_control.faults import ControlError
from daos_control.system import events, pool_properties
from daos_control.system.changes import SetAttributes
from daos_control.system.database import SystemDatabase
from daos_control.system.decision import Decision
from daos_control.system.events import RasEvent
from daos_control.system.state import MemberState
from daos_control.version import DAOS_VERSION

PROPERTY_PREFIX = "prop."
MANAGEMENT_PREFIX = "mgmt."

FABRIC_PROVIDERS = MANAGEMENT_PREFIX + "fabric_providers"
GROUP_UPDATE_PAUSED = MANAGEMENT_PREFIX + "group_update_paused"
DOMAIN_LABELS = MANAGEMENT_PREFIX + "domain_labels"
CHECKER_ENABLED = MANAGEMENT_PREFIX + "checker_enabled"


class SelfHeal(IntFlag):
    """What the system does by itself when a rank dies."""

    NONE = 0
    EXCLUDE = 1
    POOL_EXCLUDE = 2
    POOL_REBUILD = 4

    @classmethod
    def parse(cls, text: str) -> "SelfHeal":
        """The flags of "exclude;pool_rebuild"; names that are none are passed over."""
        flags = cls.NONE
        for name in text.split(";"):
            flags |= cls.__members__.get(name.upper(), cls.NONE)
        return flags


_SELF_HEAL_NAMES = ("exclude", "pool_exclude", "pool_rebuild")
SELF_HEAL_DEFAULT = ";".join(_SELF_HEAL_NAMES)
_SELF_HEAL_CHOICES = (
    "none",
    *(";".join(c) for n in range(1, len(_SELF_HEAL_NAMES) + 1) for c in combinations(_SELF_HEAL_NAMES, n)),
)


@dataclass(frozen=True, slots=True)
class SystemProperty:
    """One property. `pool_property` is the property of pools it sets on all of them; `computed` cannot be set."""

    name: str
    description: str
    default: str = ""
    choices: tuple[str, ...] = ()
    pool_property: str = ""
    computed: bool = False

    def check(self, value: str) -> str:
        """The value in its canonical spelling. Raises ControlError where it is not allowed."""
        if self.computed:
            raise ControlError(f'property "{self.name}" is computed and cannot be set')
        if self.pool_property:
            target = pool_properties.by_name(self.pool_property)
            try:
                return target.format(target.parse(value))
            except ControlError as error:
                raise ControlError(f'invalid value for property "{self.name}": {error}') from error
        if value not in self.choices:
            raise ControlError(
                f'invalid value for property "{self.name}": "{value}" is none of {", ".join(self.choices)}'
            )
        return value


TABLE: tuple[SystemProperty, ...] = (
    SystemProperty("daos_system", "DAOS system name", computed=True),
    SystemProperty("daos_version", "DAOS version", computed=True),
    SystemProperty("pool_scrub_mode", "Checksum scrubbing mode", default="off", pool_property="scrub"),
    SystemProperty("pool_scrub_thresh", "Checksum scrubbing threshold", default="0", pool_property="scrub_thresh"),
    SystemProperty(
        "self_heal", "Self-heal policy for the system", default=SELF_HEAL_DEFAULT, choices=_SELF_HEAL_CHOICES
    ),
)
_BY_NAME = {p.name: p for p in TABLE}


def find_property(name: str) -> SystemProperty:
    """The property of that name in any case. Raises ControlError where there is none."""
    found = _BY_NAME.get(name.lower())
    if found is None:
        raise ControlError(f'unknown property "{name}" (known: {", ".join(sorted(_BY_NAME))})')
    return found


def get_properties(db: SystemDatabase, names: Iterable[str] = (), *, system_name: str) -> dict[str, str]:
    """Values by name, spelled as asked; of all properties where no name is given. ControlError for unknown ones."""
    computed = {"daos_system": system_name, "daos_version": DAOS_VERSION}
    asked = list(names) or [p.name for p in TABLE]
    values = {}
    for name in asked:
        found = find_property(name)
        values[name] = computed[found.name] if found.computed else _value(db, found)
    return values


def _value(db: SystemDatabase, found: SystemProperty) -> str:
    return db.attributes.get(PROPERTY_PREFIX + found.name, found.default)


def decide_set_properties(
    db: SystemDatabase, values: Mapping[str, str]
) -> Decision[tuple[tuple[int, int | str], ...]]:
    """Set properties; all of them or, where one is unknown or its value not allowed, none (ControlError).

    The result are the pool properties (number, value) that every Ready pool is to be set to as well.
    """
    attributes: dict[str, str] = {}
    on_pools: list[tuple[int, int | str]] = []
    for name, value in values.items():
        found = find_property(name)
        checked = found.check(value)
        attributes[PROPERTY_PREFIX + found.name] = checked
        if found.pool_property:
            target = pool_properties.by_name(found.pool_property)
            on_pools.append((target.number, target.parse(checked)))
    return Decision(_set(db, attributes), tuple(on_pools))


def pool_properties_for_create(db: SystemDatabase, given: Collection[int]) -> tuple[tuple[int, int | str], ...]:
    """The pool properties (number, value) that a new pool takes from the system, but for the `given` numbers."""
    out: list[tuple[int, int | str]] = []
    for found in TABLE:
        if found.pool_property:
            target = pool_properties.by_name(found.pool_property)
            if target.number not in given:
                out.append((target.number, target.parse(_value(db, found))))
    return tuple(sorted(out))


def self_heal(db: SystemDatabase) -> SelfHeal:
    return SelfHeal.parse(self_heal_policy(db))


def self_heal_policy(db: SystemDatabase) -> str:
    """The property self_heal as text, as replies carry it."""
    return _value(db, _BY_NAME["self_heal"])


def is_reserved(key: str) -> bool:
    return key.startswith((PROPERTY_PREFIX, MANAGEMENT_PREFIX))


def get_attributes(db: SystemDatabase, keys: Sequence[str] = ()) -> dict[str, str]:
    """A person's own attributes; all where no key is given.

    Reserved keys are left out, also when asked for. Raises ControlError for a key that is not set.
    """
    for key in keys:
        if key not in db.attributes:
            raise ControlError(f'unable to find system attribute with key "{key}"')
    asked = keys or sorted(db.attributes)
    return {key: db.attributes[key] for key in asked if not is_reserved(key)}


def decide_set_attributes(db: SystemDatabase, values: Mapping[str, str]) -> Decision[None]:
    """Set attributes; an empty value deletes its key. Raises ControlError for a reserved or empty key."""
    for key in values:
        if not key:
            raise ControlError("an attribute must have a name")
        if is_reserved(key):
            raise ControlError(
                f'cannot set reserved key "{key}": names of attributes must not start with '
                f"{PROPERTY_PREFIX} or {MANAGEMENT_PREFIX}"
            )
    return Decision(_set(db, values), None)


def _set(db: SystemDatabase, values: Mapping[str, str]) -> tuple[SetAttributes, ...]:
    """One change for what differs from the database; none where nothing does."""
    different = {key: value for key, value in values.items() if db.attributes.get(key, "") != value}
    return (SetAttributes(different),) if different else ()


def fabric_providers(db: SystemDatabase) -> tuple[str, ...]:
    """The providers of the system's fabric, the primary first; empty until a leader has recorded them."""
    text = db.attributes.get(FABRIC_PROVIDERS, "")
    return tuple(text.split(",")) if text else ()


def decide_fabric_providers(
    db: SystemDatabase, providers: Sequence[str], now: datetime, *, hostname: str = ""
) -> Decision[RasEvent | None]:
    """Record the leader's configured `providers` when it steps up; the result is an event to publish.

    They may change only while no member is joined (ControlError). Then group updates are paused until all ranks
    have joined again, because engines of the two providers cannot reach each other.
    """
    new = ",".join(providers)
    old = db.attributes.get(FABRIC_PROVIDERS, "")
    if new == old:
        return Decision((), None)
    if not old:
        return Decision((SetAttributes({FABRIC_PROVIDERS: new}),), None)
    joined = sum(1 for m in db.members.values() if m.state is MemberState.JOINED)
    if joined:
        raise ControlError(
            f'cannot change the system\'s fabric provider from "{old}" to "{new}" while {joined} member(s) are '
            "joined: restore the old provider in daos_server.yml, or stop all ranks first"
        )
    event = events.fabric_provider_changed(old, new, hostname=hostname, now=now)
    return Decision((SetAttributes({FABRIC_PROVIDERS: new, GROUP_UPDATE_PAUSED: "true"}),), event)


def group_update_paused(db: SystemDatabase) -> bool:
    return db.attributes.get(GROUP_UPDATE_PAUSED) == "true"


def checker_enabled(db: SystemDatabase) -> bool:
    return db.attributes.get(CHECKER_ENABLED) == "true"
