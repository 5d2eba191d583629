"""Creating and destroying pools over several ranks: the coordinator's side. `targets` is the ranks' side."""

import asyncio
import uuid as uuids
from dataclasses import asdict, dataclass

from daos_control.engine import files, pool_acl
from daos_control.engine.fabric import FabricMethod
from daos_control.engine.log import facility
from daos_control.engine.peers import Peers
from daos_control.engine.placement import choose_service_ranks, domains_of_ranks, service_replicas, service_rf_of
from daos_control.engine.pool_record import Properties, new_record
from daos_control.engine.pool_service import PoolService
from daos_control.engine.shards import ShardSpec, TargetUsage
from daos_control.engine.targets import Targets, usage_of
from daos_control.engine.upcalls import Server
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.system.pool_properties import Number

CREATE_SECONDS = 600.0
COMMIT_SECONDS = 30.0
DESTROY_SECONDS = 120.0

# Which of several failures is told: the one a person can do something about.
_TELLING = (Status.NOSPACE, Status.INVAL, Status.EXIST)

_log = facility("pool")


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What is asked for. Bytes are per rank; `replicas` 0 leaves their number to the properties."""

    uuid: str
    ranks: tuple[int, ...]
    scm_bytes: int
    nvme_bytes: int
    meta_bytes: int
    fault_domains: tuple[int, ...]
    replicas: int
    owner: str
    group: str
    acl: tuple[str, ...]
    properties: Properties


@dataclass(frozen=True, slots=True)
class CreatedPool:
    """What came of it: `tier_bytes` and `file_bytes` are per rank, as taken."""

    leader: int
    service_ranks: tuple[int, ...]
    ranks: tuple[int, ...]
    tier_bytes: tuple[int, int]
    file_bytes: int


class PoolCreator:
    """Coordinates on behalf of the server that called this engine."""

    def __init__(self, peers: Peers, targets: Targets, service: PoolService, server: Server) -> None:
        self._peers = peers
        self._targets = targets
        self._service = service
        self._server = server
        self._busy: set[str] = set()

    async def create(self, request: CreateRequest) -> CreatedPool:
        """Make the pool on all its ranks, or on none. Raises DaosError."""
        self._check(request)
        domains = domains_of_ranks(request.fault_domains)
        service_ranks = _service_ranks(request, domains)
        attempt = str(uuids.uuid4())
        spec = ShardSpec(
            uuid=request.uuid,
            scm_bytes=request.scm_bytes,
            nvme_bytes=request.nvme_bytes,
            meta_bytes=request.meta_bytes,
            attempt=attempt,
            coordinator=self._peers.me,
            service_ranks=service_ranks,
        )
        self._busy.add(request.uuid)
        self._targets.active.add(attempt)
        try:
            return await self._attempt(request, spec, domains)
        finally:
            self._busy.discard(request.uuid)
            self._targets.active.discard(attempt)

    def _check(self, request: CreateRequest) -> None:
        if not request.ranks or len(set(request.ranks)) != len(request.ranks):
            raise DaosError(Status.INVAL, "a pool needs ranks, each once")
        group = self._peers.view.map
        absent = [rank for rank in request.ranks if rank not in group.engines]
        if absent:
            raise DaosError(Status.OOG, f"ranks {absent} are not in the group map of version {group.version}")
        if request.uuid in self._busy:
            raise DaosError(Status.AGAIN, f"pool {request.uuid} is being created")

    async def _attempt(self, request: CreateRequest, spec: ShardSpec, domains: dict[int, int]) -> CreatedPool:
        try:
            made = await self._make_shards(request.ranks, spec)
            await self._server.system_properties("self_heal")
            record = new_record(
                spec.uuid,
                {rank: len(usage) for rank, usage in made.items()},
                spec.service_ranks,
                request.properties,
                domains=len({domains.get(rank, -1 - rank) for rank in request.ranks}),
                owner=request.owner,
                group=request.group,
                acl=pool_acl.checked(request.acl) if request.acl else pool_acl.DEFAULT,
            )
            await self._service.register(spec.uuid, spec.service_ranks).create(record.to_json())
            files.crash_point("service-made")
            await self._decide(spec)
        except _UndecidedError:
            raise
        except BaseException:
            await asyncio.shield(self._abort(request.ranks, spec))
            raise
        await self._commit_others(request.ranks, spec)
        one = next(iter(made.values()))
        return CreatedPool(
            leader=spec.service_ranks[0],
            service_ranks=spec.service_ranks,
            ranks=tuple(sorted(request.ranks)),
            tier_bytes=(sum(item.scm_total for item in one), sum(item.nvme_total for item in one)),
            file_bytes=sum(item.file_bytes for item in one),
        )

    async def _make_shards(self, ranks: tuple[int, ...], spec: ShardSpec) -> dict[int, list[TargetUsage]]:
        body = asdict(spec)
        replies = await asyncio.gather(
            *(self._peers.call(rank, FabricMethod.TARGET_CREATE, body, CREATE_SECONDS) for rank in ranks),
            return_exceptions=True,
        )
        failures = [reply for reply in replies if isinstance(reply, BaseException)]
        for rank, reply in zip(ranks, replies, strict=True):
            if isinstance(reply, BaseException):
                _log.error("pool %s: rank %d cannot take its part: %s", spec.uuid, rank, reply)
        if failures:
            raise min(failures, key=_how_telling)
        return {
            rank: usage_of(r) for rank, r in zip(ranks, replies, strict=True) if not isinstance(r, BaseException)
        }

    async def _decide(self, spec: ShardSpec) -> None:
        """Have the decider say that the pool exists. Raises _UndecidedError where nobody can tell if it did."""
        name = {"uuid": spec.uuid, "attempt": spec.attempt}
        decider = spec.service_ranks[0]
        try:
            await self._peers.call(decider, FabricMethod.TARGET_COMMIT, name, COMMIT_SECONDS)
        except DaosError as error:
            try:
                reply = await self._peers.call(decider, FabricMethod.TARGET_ABORT, name, COMMIT_SECONDS)
            except DaosError:
                _log.error("pool %s: rank %d decides if it exists, and cannot be asked", spec.uuid, decider)
                raise _UndecidedError(error.status, str(error)) from error
            if not reply["live"]:
                raise

    async def _commit_others(self, ranks: tuple[int, ...], spec: ShardSpec) -> None:
        """Tell the rest that the pool exists; who does not hear of it asks the decider later."""
        name = {"uuid": spec.uuid, "attempt": spec.attempt}
        others = [rank for rank in ranks if rank != spec.service_ranks[0]]
        replies = await asyncio.gather(
            *(self._peers.call(rank, FabricMethod.TARGET_COMMIT, name, COMMIT_SECONDS) for rank in others),
            return_exceptions=True,
        )
        for rank, reply in zip(others, replies, strict=True):
            if isinstance(reply, BaseException):
                _log.warning("pool %s: rank %d has not heard that it exists: %s", spec.uuid, rank, reply)

    async def _abort(self, ranks: tuple[int, ...], spec: ShardSpec) -> None:
        name = {"uuid": spec.uuid, "attempt": spec.attempt}
        replies = await asyncio.gather(
            *(self._peers.call(rank, FabricMethod.TARGET_ABORT, name, DESTROY_SECONDS) for rank in ranks),
            return_exceptions=True,
        )
        for rank, reply in zip(ranks, replies, strict=True):
            if isinstance(reply, BaseException):
                _log.warning("pool %s: rank %d keeps its part until it can ask: %s", spec.uuid, rank, reply)

    async def destroy(self, uuid: str, ranks: tuple[int, ...]) -> None:
        """Remove the pool from these ranks, from all of the group where none are named; none there is fine.

        Raises the DaosError of a rank that did not; the others did.
        """
        where = ranks or tuple(self._peers.view.map.engines)
        replies = await asyncio.gather(
            *(
                self._peers.call(rank, FabricMethod.TARGET_DESTROY, {"uuid": uuid}, DESTROY_SECONDS)
                for rank in where
            ),
            return_exceptions=True,
        )
        failures = [reply for reply in replies if isinstance(reply, BaseException)]
        for rank, reply in zip(where, replies, strict=True):
            if isinstance(reply, BaseException):
                _log.error("pool %s is not removed from rank %d: %s", uuid, rank, reply)
        if failures:
            raise min(failures, key=_how_telling)


class _UndecidedError(DaosError):
    """The decider is out of reach: nothing may be undone, the ranks settle it when it is back."""


def _service_ranks(request: CreateRequest, domains: dict[int, int]) -> tuple[int, ...]:
    given = request.properties.get(Number.SVC_RF)
    if given is None:
        given = service_rf_of(request.replicas) if request.replicas else 2
        request.properties[Number.SVC_RF] = given
    count = service_replicas(int(given), len(request.ranks))
    return choose_service_ranks(request.ranks, domains, count, uuids.UUID(request.uuid).int)


def _how_telling(error: BaseException) -> int:
    if isinstance(error, DaosError):
        return _TELLING.index(Status(error.status)) if error.status in _TELLING else len(_TELLING)
    return len(_TELLING) + 1
