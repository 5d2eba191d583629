"""Members and pools as text: the records of a stored database.

A record is JSON with the names of the fields, which never change their meaning; reading is strict, so that a
damaged or foreign record is noticed instead of half understood.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from daos_control.system.member import Member
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.state import MemberState

_MEMBER_FIELDS = frozenset(Member.__dataclass_fields__)
_POOL_FIELDS = frozenset(PoolService.__dataclass_fields__)


def encode(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decode(text: str, names: frozenset[str]) -> dict[str, object]:
    """The fields of a record. Raises ValueError where it has others than `names`."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or fields.keys() != names:
        raise ValueError("a record has not the fields it must have")
    return fields


def encode_member(member: Member) -> str:
    return encode(
        {
            "address": member.address,
            "fabric_contexts": member.fabric_contexts,
            "fabric_uri": member.fabric_uri,
            "fault_domain": member.fault_domain,
            "incarnation": member.incarnation,
            "info": member.info,
            "last_update": member.last_update.isoformat(),
            "rank": member.rank,
            "secondary_fabric_contexts": member.secondary_fabric_contexts,
            "secondary_fabric_uris": member.secondary_fabric_uris,
            "state": member.state.wire_name,
            "uuid": member.uuid,
        }
    )


def decode_member(text: str) -> Member:
    """Raises ValueError where the text is no member's record."""
    fields = decode(text, _MEMBER_FIELDS)
    state = MemberState.from_wire_name(_text(fields["state"]))
    if state is MemberState.UNKNOWN:
        raise ValueError(f"unknown member state {fields['state']!r}")
    return Member(
        rank=_number(fields["rank"]),
        uuid=_text(fields["uuid"]),
        address=_text(fields["address"]),
        fabric_uri=_text(fields["fabric_uri"]),
        state=state,
        fault_domain=_text(fields["fault_domain"]),
        last_update=datetime.fromisoformat(_text(fields["last_update"])),
        incarnation=_number(fields["incarnation"]),
        fabric_contexts=_number(fields["fabric_contexts"]),
        secondary_fabric_uris=tuple(_text(uri) for uri in _list(fields["secondary_fabric_uris"])),
        secondary_fabric_contexts=_numbers(fields["secondary_fabric_contexts"]),
        info=_text(fields["info"]),
    )


def encode_pool(pool: PoolService) -> str:
    return encode(
        {
            "creation_ranks": pool.creation_ranks,
            "label": pool.label,
            "last_update": pool.last_update.isoformat(),
            "mem_ratio": pool.mem_ratio,
            "replicas": pool.replicas,
            "service_term": pool.service_term,
            "state": pool.state.wire_name,
            "tier_bytes": pool.tier_bytes,
            "uuid": pool.uuid,
        }
    )


def decode_pool(text: str) -> PoolService:
    """Raises ValueError where the text is no pool's record."""
    fields = decode(text, _POOL_FIELDS)
    states = {state.wire_name: state for state in PoolState}
    state = states.get(_text(fields["state"]))
    if state is None:
        raise ValueError(f"unknown pool state {fields['state']!r}")
    mem_ratio = fields["mem_ratio"]
    if not isinstance(mem_ratio, int | float):
        raise ValueError(f"{mem_ratio!r} is no ratio")
    return PoolService(
        uuid=_text(fields["uuid"]),
        label=_text(fields["label"]),
        state=state,
        last_update=datetime.fromisoformat(_text(fields["last_update"])),
        replicas=_numbers(fields["replicas"]),
        creation_ranks=_numbers(fields["creation_ranks"]),
        tier_bytes=_numbers(fields["tier_bytes"]),
        mem_ratio=float(mem_ratio),
        service_term=_number(fields["service_term"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no number")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(_number(number) for number in _list(value))
