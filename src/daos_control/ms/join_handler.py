"""Join: an engine's server asks for its rank, at every start of the engine."""

import logging

from daos_control.faults import ControlError, Fault
from daos_control.ms.addresses import joining_address
from daos_control.ms.calls import Call
from daos_control.ms.edges import Clock, PublishEvent
from daos_control.ms.pool_calls import PoolCalls
from daos_control.ms.session import Session
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.join import JoinRequest, ReplaceCheck, decide_join, refusal_event, replaced_rank

log = logging.getLogger(__name__)


class JoinHandler:
    """Answers Join. Joins need no tick: the writer commits together those that come together.

    The reply never says `localJoin`: the server that asked gives its engine rank and set-up itself, exactly once,
    wherever it runs. `map_version` is that of the state with the engine in it; any later map has it too.
    """

    def __init__(
        self, session: Session, pools: PoolCalls, clock: Clock, publish: PublishEvent, hostname: str
    ) -> None:
        self._hostname = hostname
        self._session = session
        self._pools = pools
        self._clock = clock
        self._publish = publish

    async def join(self, request: svc_pb2.JoinReq, call: Call) -> svc_pb2.JoinResp:
        """Raises the refusal: Faults 401, 403, 620, 621, 717, or ControlError; some with an event."""
        asked = JoinRequest(
            rank=request.rank,
            uuid=request.uuid,
            address=await joining_address(request.addr, call),
            index=request.idx,
            fabric_uri=request.uri,
            fabric_contexts=request.nctxs,
            secondary_fabric_uris=tuple(request.secondary_uris),
            secondary_fabric_contexts=tuple(request.secondary_nctxs),
            fault_domain=request.srvFaultDomain,
            incarnation=request.incarnation,
            check_mode=request.check_mode,
            replace=request.replace,
        )
        try:
            check = await self._replace_check(asked, call) if asked.replace else None
            joined = await self._session.submit(lambda db, now: decide_join(db, asked, now, replace_check=check))
        except (Fault, ControlError) as error:
            event = refusal_event(asked, error, self._clock.now(), self._hostname)
            if event is not None:
                self._publish(event)
            raise
        member = joined.member
        log.info(
            "rank %d joined from %s (%s), incarnation %d",
            member.rank,
            member.address,
            member.uuid,
            member.incarnation,
        )
        return svc_pb2.JoinResp(
            state=svc_pb2.JoinResp.CHECK if joined.check_mode else svc_pb2.JoinResp.IN,
            rank=member.rank,
            map_version=joined.map_version,
        )

    async def _replace_check(self, asked: JoinRequest, call: Call) -> ReplaceCheck:
        """The rank that would be replaced, and which pools still have it enabled: they have to be asked."""
        rank = replaced_rank(self._session.db, asked)
        return ReplaceCheck(rank, await self._pools.enabled_in(rank, call))
