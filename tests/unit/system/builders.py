"""Small worlds for the tests of the domain."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daos_control.system.changes import PutMember, PutPool, SetAttributes
from daos_control.system.database import SystemDatabase
from daos_control.system.join import JoinRequest
from daos_control.system.member import Member
from daos_control.system.pool import PoolService, PoolState
from daos_control.system.properties import FABRIC_PROVIDERS
from daos_control.system.state import MemberState

NOW = datetime(2026, 11, 23, 3, 42, 11, 949935, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
PROVIDER = "ofi+tcp"


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012x}"


def member(
    rank: int, state: MemberState = MemberState.JOINED, *, number: int | None = None, **changes: object
) -> Member:
    """Rank N on host 10.0.0.N, in /hostN, with incarnation 100."""
    made = Member(
        rank=rank,
        uuid=uuid(rank if number is None else number),
        address=f"10.0.0.{rank}:10001",
        fabric_uri=f"{PROVIDER}://10.0.0.{rank}:31416",
        state=state,
        fault_domain=f"/host{rank}",
        last_update=NOW,
        incarnation=100,
        fabric_contexts=3,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def pool(number: int, state: PoolState = PoolState.READY, **changes: object) -> PoolService:
    made = PoolService(
        uuid=uuid(0xA000 + number),
        label=f"pool{number}",
        state=state,
        last_update=NOW,
        replicas=(0,),
        creation_ranks=(0, 1),
        tier_bytes=(1 << 30, 0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def database(*records: Member | PoolService, provider: str = PROVIDER, **attributes: str) -> SystemDatabase:
    """A database with these records, whose leader has stepped up."""
    db = SystemDatabase()
    db.apply([SetAttributes({FABRIC_PROVIDERS: provider, **attributes})])
    db.apply([PutMember(r) if isinstance(r, Member) else PutPool(r) for r in records])
    return db


def rejoin(known: Member, **changes: object) -> JoinRequest:
    """The request of the engine that is recorded as `known`, started again."""
    made = JoinRequest(
        uuid=known.uuid,
        address=known.address,
        fabric_uri=known.fabric_uri,
        fault_domain=known.fault_domain,
        rank=known.rank,
        incarnation=known.incarnation + 1,
        fabric_contexts=known.fabric_contexts,
        secondary_fabric_uris=known.secondary_fabric_uris,
        secondary_fabric_contexts=known.secondary_fabric_contexts,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def unlisted(number: int, **changes: object) -> JoinRequest:
    """The request of an engine that has never joined, on host 10.0.1.N."""
    made = JoinRequest(
        uuid=uuid(0x100 + number),
        address=f"10.0.1.{number}:10001",
        fabric_uri=f"{PROVIDER}://10.0.1.{number}:31416",
        fault_domain=f"/new{number}",
        incarnation=500,
    )
    return replace(made, **changes)  # type: ignore[arg-type]
