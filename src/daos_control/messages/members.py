"""Members of the system: records to mgmt.SystemMember and back."""

from datetime import UTC, datetime

from daos_control.proto.mgmt import system_pb2
from daos_control.system.member import Member
from daos_control.system.state import MemberState


def to_proto(member: Member) -> system_pb2.SystemMember:
    return system_pb2.SystemMember(
        addr=member.address,
        uuid=member.uuid,
        rank=member.rank,
        incarnation=member.incarnation,
        state=member.state.wire_name,
        fabric_uri=member.fabric_uri,
        fabric_contexts=member.fabric_contexts,
        info=member.info,
        fault_domain=member.fault_domain,
        last_update=format_time(member.last_update),
        secondary_fabric_uris=member.secondary_fabric_uris,
    )


def from_proto(message: system_pb2.SystemMember) -> Member:
    """Secondary contexts are not on the wire. Raises ValueError where the time cannot be read."""
    return Member(
        rank=message.rank,
        uuid=message.uuid,
        address=message.addr,
        fabric_uri=message.fabric_uri,
        state=MemberState.from_wire_name(message.state),
        fault_domain=message.fault_domain,
        last_update=parse_time(message.last_update),
        incarnation=message.incarnation,
        fabric_contexts=message.fabric_contexts,
        secondary_fabric_uris=tuple(message.secondary_fabric_uris),
        info=message.info,
    )


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC with as many decimals as it takes, as Go writes it: "2026-11-23T03:30:52.497022Z"."""
    utc = time.astimezone(UTC)
    fraction = f".{utc.microsecond:06}".rstrip("0").rstrip(".")
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def parse_time(text: str) -> datetime:
    """Undo `format_time`; decimals beyond microseconds are cut off. Raises ValueError."""
    head, point, tail = text.partition(".")
    if not point:
        return datetime.fromisoformat(text)
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return datetime.fromisoformat(f"{head}.{tail[: min(digits, 6)]:0<6}{tail[digits:]}")
