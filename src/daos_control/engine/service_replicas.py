"""Replicas of pool services: the one that this engine keeps on its storage, and all of them as seen from here."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from daos_control.engine import files
from daos_control.engine.errors import from_os_error
from daos_control.engine.fabric import FabricMethod
from daos_control.engine.locks import NamedLocks
from daos_control.engine.peers import Peers
from daos_control.engine.register import Answer, Ballot, Replica, Value
from daos_control.engine.shards import ShardStore
from daos_control.engine.storage import Storage
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

CALL_SECONDS = 5.0
_FILE = "service.json"


class LocalReplicas:
    """Serves REGISTER_* calls for pools whose service is kept here. Answers mean that changes are on storage."""

    def __init__(self, storage: Storage, shards: ShardStore, locks: NamedLocks) -> None:
        self._storage = storage
        self._shards = shards
        self._locks = locks
        self._known: dict[str, Replica] = {}

    def forget(self, uuid: str) -> None:
        """The pool is being removed; its file goes with its directory."""
        self._known.pop(uuid, None)

    async def read(self, request: dict[str, Any]) -> dict[str, Any]:
        """REGISTER_READ: what is held. Raises DaosError NONEXIST for a pool whose service is not kept here."""
        return _answer(True, await self._load(request["uuid"], request["rank"]))

    async def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """REGISTER_PREPARE: promise a ballot."""
        ballot = Ballot.from_json(request["ballot"])
        return await self._step(request["uuid"], request["rank"], lambda replica: replica.promise(ballot))

    async def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """REGISTER_ACCEPT: take a value."""
        ballot, value = Ballot.from_json(request["ballot"]), request["value"]
        return await self._step(request["uuid"], request["rank"], lambda replica: replica.accept(ballot, value))

    async def _step(self, uuid: str, rank: int, decide: Callable[[Replica], Replica | None]) -> dict[str, Any]:
        async with self._locks.hold(uuid):
            replica = await self._load(uuid, rank)
            following = decide(replica)
            if following is None:
                return _answer(False, replica)
            path = self._storage.record_directory(uuid) / _FILE
            try:
                await asyncio.to_thread(files.write_json, path, following.to_json())
            except OSError as error:
                # What is on storage now is not known: read it again before the next answer.
                self.forget(uuid)
                raise from_os_error(error) from error
            self._known[uuid] = following
            files.crash_point("service-written")
            return _answer(True, following)

    async def _load(self, uuid: str, rank: int) -> Replica:
        shard = self._shards.get(uuid)
        if shard is None or rank not in shard.spec.service_ranks:
            raise DaosError(Status.NONEXIST, f"no service of pool {uuid} here")
        if uuid not in self._known:
            try:
                found = await asyncio.to_thread(files.read_json, self._storage.record_directory(uuid) / _FILE)
                self._known[uuid] = Replica.from_json(found)
            except FileNotFoundError:
                self._known[uuid] = Replica()
            except OSError as error:
                raise from_os_error(error) from error
            except (ValueError, KeyError, TypeError) as error:
                raise DaosError(Status.IO, f"service record of pool {uuid} is damaged: {error}") from error
        return self._known[uuid]


def _answer(granted: bool, replica: Replica) -> dict[str, Any]:
    return {"granted": granted, "replica": replica.to_json()}


class PoolReplicas:
    """All replicas of one pool's service, for a `Register`."""

    def __init__(self, peers: Peers, uuid: str) -> None:
        self._peers = peers
        self._uuid = uuid

    def read(self, rank: int) -> Coroutine[Any, Any, Answer]:
        return self._call(rank, FabricMethod.REGISTER_READ, {})

    def prepare(self, rank: int, ballot: Ballot) -> Coroutine[Any, Any, Answer]:
        return self._call(rank, FabricMethod.REGISTER_PREPARE, {"ballot": ballot.to_json()})

    def accept(self, rank: int, ballot: Ballot, value: Value) -> Coroutine[Any, Any, Answer]:
        return self._call(rank, FabricMethod.REGISTER_ACCEPT, {"ballot": ballot.to_json(), "value": value})

    async def _call(self, rank: int, method: FabricMethod, request: dict[str, Any]) -> Answer:
        reply = await self._peers.call(rank, method, {"uuid": self._uuid, "rank": rank} | request, CALL_SECONDS)
        return Answer(bool(reply["granted"]), Replica.from_json(reply["replica"]))
