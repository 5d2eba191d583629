"""Pushes the group map to a local engine, which spreads it to the others."""

import asyncio
import logging
from collections.abc import Sequence

from daos_control.drpc import DrpcStatusError, FramingError
from daos_control.faults import ControlError, DaosError, Fault
from daos_control.ms.edges import EngineNotReadyError, LocalEngines
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.changes import BumpMapVersion, Change, PutMember
from daos_control.system.database import SystemDatabase
from daos_control.system.group_map import GroupMap, MapEngine, group_map
from daos_control.system.properties import group_update_paused
from daos_control.system.state import MemberState

log = logging.getLogger(__name__)

_READY_POLL_MAX_S = 1.0  # between looks for a ready engine, for a server that does not call `engine_ready`


class GroupPush:
    """One task that keeps the engines' map up to date.

    It sends the map as it is at that moment, never two at a time and so never an older one after a newer; changes
    that come while one is under way cost a single further push. A map counts as sent when the engine has accepted
    it, with status 0; until then it is tried again, with growing waits. Nothing is sent while group updates are
    paused, nor a map that holds none of the ready local engines: DAOS's engine kills itself when it finds itself
    missing.

    What makes a push due: other engines, addresses or incarnations than those sent last; any join, as its engine
    takes no map older than the version that the join was answered with, though the content be equal; an explicit
    raise of the map version; or a local engine that has just become ready and may know no map at all. A rank that
    stopped or crashed stays in the map, so that recording it as such pushes nothing.
    """

    def __init__(self, settings: MsSettings, session: Session, engines: LocalEngines) -> None:
        self._settings = settings
        self._session = session
        self._engines = engines
        self._wake = asyncio.Event()
        self._forced = False
        self._sent: tuple[MapEngine, ...] | None = None
        self.sent_version = 0

    def reset(self) -> None:
        """The service opens: whatever engines know is from another life of it."""
        self._sent = None
        self._forced = False
        self.sent_version = 0

    def on_commit(self, _db: SystemDatabase, changes: Sequence[Change]) -> None:
        """A subscriber of the writer."""
        if any(_demands_push(change) for change in changes):
            self._forced = True
        self._wake.set()

    def engine_ready(self) -> None:
        """A local engine was set up: the current map is due again, whoever has it already."""
        self._forced = True
        self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        limits = self._settings.limits
        wait_s = limits.retry_min_s
        while True:
            self._wake.clear()
            try:
                await self._push()
            except EngineNotReadyError as error:
                log.debug("group map not sent yet: %s", error)
                wait_s = await self._pause(min(wait_s, _READY_POLL_MAX_S))
            except (Fault, ControlError, DaosError, DrpcStatusError, FramingError, OSError, TimeoutError) as error:
                log.warning("group map not accepted yet: %s", error)
                wait_s = await self._pause(wait_s)
            except Exception:  # what nobody foresaw must not end the service
                log.exception("group update failed")
                wait_s = await self._pause(wait_s)
            else:
                wait_s = limits.retry_min_s
                await self._wake.wait()

    async def _pause(self, wait_s: float) -> float:
        """Wait that long, or less when something changes; the next wait."""
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return min(wait_s * 2, self._settings.limits.retry_max_s)
        return wait_s

    async def _push(self) -> None:
        """Bring the engines up to date; nothing to do where they are, or where no local engine can take it."""
        db = self._session.db
        if group_update_paused(db):
            return
        current = group_map(db, self._settings.replicas)
        if not self._forced and current.engines == self._sent:
            return
        if not current.engines:
            return
        if self._engines.ready_ranks().isdisjoint(current.ranks):
            raise EngineNotReadyError("no local engine that is in the group map")
        forced, self._forced = self._forced, False
        try:
            status = await self._engines.update_group(
                to_request(current), timeout=self._settings.limits.group_update_s
            )
            if status != 0:
                raise DaosError(status, f"group update to version {current.version}")
        except BaseException:
            self._forced |= forced
            raise
        self._sent, self.sent_version = current.engines, current.version
        log.info("group map version %d with %d ranks accepted", current.version, len(current.engines))


def _demands_push(change: Change) -> bool:
    """Only a join records a member as joined; a join may also repeat what is known."""
    match change:
        case PutMember(member):
            return member.state in (MemberState.JOINED, MemberState.CHECKER_STARTED)
        case BumpMapVersion():
            return True
    return False


def to_request(engines: GroupMap) -> svc_pb2.GroupUpdateReq:
    return svc_pb2.GroupUpdateReq(
        map_version=engines.version,
        engines=[
            svc_pb2.GroupUpdateReq.Engine(rank=engine.rank, uri=engine.uri, incarnation=engine.incarnation)
            for engine in engines.engines
        ],
    )
