"""What is asked about the system as a whole, and done to all its ranks: query, stop, start, erase."""

from collections.abc import Awaitable, Callable

from daos_control.faults import SystemUnavailableError
from daos_control.faults.core import RAFT_UNAVAILABLE
from daos_control.messages import members, results
from daos_control.ms.addresses import look_up_all
from daos_control.ms.calls import Call
from daos_control.ms.edges import Clock, PublishEvent, RankControl
from daos_control.ms.fan_out import FanOut
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import svc_pb2, system_pb2
from daos_control.system import events
from daos_control.system.membership import Resolved, hosts_to_resolve, query, resolve, without_admin_excluded
from daos_control.system.properties import self_heal_policy
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult, failures
from daos_control.system.state import StateMask

PREP_SHUTDOWN = "prep shutdown"
STOP = "stop"
START = "start"
RESET_FORMAT = "reset format"


class SystemHandlers:
    """LeaderQuery, SystemQuery, SystemStop, SystemStart and SystemErase."""

    def __init__(
        self,
        settings: MsSettings,
        session: Session,
        ranks: RankControl,
        clock: Clock,
        publish: PublishEvent,
        erase: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._session = session
        self._ranks = ranks
        self._clock = clock
        self._publish = publish
        self._erase = erase
        self._fan_out = FanOut(settings, session)

    async def leader_query(self, _request: svc_pb2.LeaderQueryReq, _call: Call) -> svc_pb2.LeaderQueryResp:
        """A single replica leads as soon as it serves; before, nobody does."""
        leads = self._session.is_serving
        return svc_pb2.LeaderQueryResp(
            current_leader=self._settings.address if leads else "", replicas=self._settings.replicas
        )

    async def system_query(self, request: system_pb2.SystemQueryReq, _call: Call) -> system_pb2.SystemQueryResp:
        resolved = await self._resolve(request.ranks, request.hosts)
        db = self._session.db
        reply = system_pb2.SystemQueryResp(
            absentranks=str(resolved.absent_ranks),
            absenthosts=str(resolved.absent_hosts),
            sys_self_heal_policy=self_heal_policy(db),
        )
        if not resolved.ranks:
            if not request.ranks and not request.hosts:
                # A replica without members has nothing to tell; the client then asks another one.
                raise SystemUnavailableError(RAFT_UNAVAILABLE)
            return reply
        found = query(db, resolved.ranks, request.state_mask or StateMask.ALL)
        reply.members.extend(members.to_proto(member) for member in found)
        reply.providers.extend(hint.provider for hint in self._settings.client_net_hints)
        reply.data_version = db.version
        return reply

    async def system_stop(self, request: system_pb2.SystemStopReq, call: Call) -> system_pb2.SystemStopResp:
        """In two steps unless forced: engines prepare first, and where one cannot, none is stopped."""
        resolved, ranks = await self._targets(request.ranks, request.hosts, request.ignore_admin_excluded)
        action, done = await self._session.to_the_end(self._stop(ranks, request.force, call), "system stop")
        self._report_stop(action, done)
        return system_pb2.SystemStopResp(
            results=results.to_protos(done),
            absentranks=str(resolved.absent_ranks),
            absenthosts=str(resolved.absent_hosts),
        )

    async def _stop(self, ranks: RankSet, force: bool, call: Call) -> tuple[str, tuple[RankResult, ...]]:
        if not force:
            prepared = await self._fan_out.run(
                lambda address, some, timeout: self._ranks.prep_shutdown(address, some, timeout=timeout),
                ranks,
                call,
                action=PREP_SHUTDOWN,
            )
            if any(result.errored for result in prepared):
                return PREP_SHUTDOWN, prepared
        stopped = await self._fan_out.run(
            lambda address, some, timeout: self._ranks.stop(address, some, force=force, timeout=timeout),
            ranks,
            call,
            action=STOP,
        )
        return STOP, stopped

    def _report_stop(self, action: str, done: tuple[RankResult, ...]) -> None:
        failed = failures(done)
        if failed:
            self._publish(
                events.system_stop_failed(action, failed, hostname=self._settings.hostname, now=self._clock.now())
            )

    async def system_start(self, request: system_pb2.SystemStartReq, call: Call) -> system_pb2.SystemStartResp:
        resolved, ranks = await self._targets(request.ranks, request.hosts, request.ignore_admin_excluded)
        check_mode = request.check_mode
        work = self._fan_out.run(
            lambda address, some, timeout: self._ranks.start(address, some, check_mode=check_mode, timeout=timeout),
            ranks,
            call,
            action=START,
        )
        done = await self._session.to_the_end(work, "system start")
        failed = failures(done)
        if failed:
            self._publish(
                events.system_start_failed(failed, hostname=self._settings.hostname, now=self._clock.now())
            )
        return system_pb2.SystemStartResp(
            results=results.to_protos(done),
            absentranks=str(resolved.absent_ranks),
            absenthosts=str(resolved.absent_hosts),
        )

    async def system_erase(self, _request: system_pb2.SystemEraseReq, call: Call) -> system_pb2.SystemEraseResp:
        """Undo the format of every rank, then forget the system; where one rank refuses, nothing is forgotten."""
        everybody = RankSet(self._session.db.ranks)
        done = await self._session.to_the_end(
            self._fan_out.run(
                lambda address, some, timeout: self._ranks.reset_format(address, some, timeout=timeout),
                everybody,
                call,
                action=RESET_FORMAT,
                update=False,
            ),
            "system erase",
        )
        if not any(result.errored for result in done):
            await self._erase()
        return system_pb2.SystemEraseResp(results=results.to_protos(done))

    async def _resolve(self, ranks: str, hosts: str) -> Resolved:
        addresses = await look_up_all(hosts_to_resolve(hosts))
        return resolve(self._session.db, ranks, hosts, addresses)

    async def _targets(self, ranks: str, hosts: str, ignore_excluded: bool) -> tuple[Resolved, RankSet]:
        resolved = await self._resolve(ranks, hosts)
        kept = without_admin_excluded(
            self._session.db, resolved.ranks, explicit=bool(ranks or hosts), ignore=ignore_excluded
        )
        return resolved, kept
