"""What the service of a pool keeps: its map, its properties, its owners. Pure; stored as JSON in a `Register`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daos_control.engine.pool_map import PoolMap
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.pool_properties import TABLE, Number, Value, by_number
from daos_control.system.ranks import RankSet

LAYOUT_VERSION = 4
NOBODY = "NOBODY@"
_LABEL_NOT_SET = "pool_label_not_set"
_SELF_HEAL_EXCLUDE = 0x1

Properties = dict[int, Value]


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """One pool. `properties` holds values by number; owner, group, ACL and replicas are fields of their own."""

    uuid: str
    map: PoolMap
    service_ranks: tuple[int, ...]
    owner: str
    group: str
    acl: tuple[str, ...]
    properties: Properties = field(default_factory=dict)

    @property
    def excludes_dead_ranks(self) -> bool:
        value = self.properties.get(Number.SELF_HEAL)
        return isinstance(value, int) and bool(value & _SELF_HEAL_EXCLUDE)

    def property(self, number: int) -> Value:
        """Raises DaosError INVAL for a property that cannot be asked for by number."""
        if number == Number.OWNER:
            return self.owner
        if number == Number.OWNER_GROUP:
            return self.group
        if number == Number.SVC_LIST:
            return ranks_text(self.service_ranks)
        if number not in self.properties:
            raise DaosError(Status.INVAL, f"there is no pool property {number}")
        return self.properties[number]

    def to_json(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "map": self.map.to_json(),
            "service_ranks": list(self.service_ranks),
            "owner": self.owner,
            "group": self.group,
            "acl": list(self.acl),
            "properties": {str(number): value for number, value in self.properties.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "PoolRecord":
        return cls(
            uuid=value["uuid"],
            map=PoolMap.from_json(value["map"]),
            service_ranks=tuple(value["service_ranks"]),
            owner=value["owner"],
            group=value["group"],
            acl=tuple(value["acl"]),
            properties={int(number): item for number, item in value["properties"].items()},
        )


def ranks_text(ranks: Iterable[int]) -> str:
    """Ranks as an engine writes them: "[0-2,5]", with brackets around one or none too."""
    return f"[{RankSet(ranks)}]"


def default_properties(domains: int) -> Properties:
    """The properties of a pool that was given none, over so many fault domains."""
    found: Properties = {item.number: item.default for item in TABLE if item.default is not None}
    found[Number.LABEL] = _LABEL_NOT_SET
    # No more failures can be survived than there are other domains.
    found[Number.RD_FAC] = min(int(found[Number.RD_FAC]), max(domains - 1, 0))
    # Nothing here looks for repeated operations: no client changes a pool through its own connection.
    found[Number.SVC_OPS_ENABLED] = 0
    return found


def given_properties(messages: Iterable[pool_pb2.PoolProperty], *, at_create: bool = False) -> Properties:
    """The properties of a request. Raises DaosError INVAL for an unknown number, a missing or a wrong value.

    Owner and group may be given at creation only; the ACL, and what the engine itself decides, never.
    """
    found: Properties = {}
    for message in messages:
        which = message.WhichOneof("value")
        if which is None:
            raise DaosError(Status.INVAL, f"pool property {message.number} has no value")
        value: Value = message.strval if which == "strval" else message.numval
        if message.number in (Number.OWNER, Number.OWNER_GROUP) and at_create and isinstance(value, str):
            found[message.number] = value
            continue
        known = by_number(message.number)
        if known is None or not known.settable or not known.allows(value):
            raise DaosError(Status.INVAL, f"pool property {message.number} cannot be set to {value!r}")
        found[message.number] = value
    return found


def property_messages(record: PoolRecord, numbers: Iterable[int]) -> list[pool_pb2.PoolProperty]:
    """The asked properties as an engine answers them. Raises DaosError INVAL."""
    found: list[pool_pb2.PoolProperty] = []
    for number in numbers:
        value = record.property(number)
        if isinstance(value, str):
            found.append(pool_pb2.PoolProperty(number=number, strval=value))
        else:
            found.append(pool_pb2.PoolProperty(number=number, numval=value))
    return found


def new_record(
    uuid: str,
    targets: Mapping[int, int],
    service_ranks: tuple[int, ...],
    given: Properties,
    *,
    domains: int,
    owner: str,
    group: str,
    acl: tuple[str, ...],
) -> PoolRecord:
    """The record of a pool just made; `targets` is the number of targets by rank."""
    properties = default_properties(domains) | given
    return PoolRecord(
        uuid=uuid,
        map=PoolMap.new(targets),
        service_ranks=service_ranks,
        owner=str(properties.pop(Number.OWNER, owner or NOBODY)),
        group=str(properties.pop(Number.OWNER_GROUP, group or NOBODY)),
        acl=acl,
        properties=properties,
    )
