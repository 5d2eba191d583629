"""Watches peers in real time: drives `Swim`, carries pings and deaths, and brings group maps to who misses them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from daos_control.engine.fabric import FabricMethod, call_json
from daos_control.engine.fabric_address import FabricAddress
from daos_control.engine.group_map import GroupMap, Verdict
from daos_control.engine.log import facility
from daos_control.engine.options import SwimSettings
from daos_control.engine.peers import Peers
from daos_control.engine.swim import AskHelpers, Died, Ping, Swim
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status

_MAP_SECONDS = 2.0
_SPREAD_AT_ONCE = 32

_log = facility("swim")


class Watcher:
    """Runs between SetUp and the end of the engine.

    `on_death(rank, incarnation)` is awaited once for each death that this engine has seen itself; `on_excluded`
    when a newer group map is without our rank; `on_change` is called when the map or the set of dead ranks changes.
    """

    def __init__(
        self,
        peers: Peers,
        settings: SwimSettings,
        incarnation: int,
        *,
        on_death: Callable[[int, int], Awaitable[None]],
        on_excluded: Callable[[], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        self._peers = peers
        self._settings = settings
        self._incarnation = incarnation
        self._on_death = on_death
        self._on_excluded = on_excluded
        self._on_change = on_change
        self._swim: Swim | None = None
        self._dead: tuple[int, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pinging: set[int] = set()

    @property
    def dead_ranks(self) -> tuple[int, ...]:
        return self._swim.dead_ranks if self._swim is not None else ()

    def is_dead(self, rank: int) -> bool:
        return self._swim is not None and self._swim.is_dead(rank)

    async def receive_map(self, group_map: GroupMap) -> Verdict:
        """Take a group map from the server or a peer, and pass a new one on."""
        verdict = self._peers.view.offer(group_map)
        if verdict is Verdict.EXCLUDED:
            await self._on_excluded()
        elif verdict is Verdict.ADOPTED:
            _log.info("group map version %d: %d ranks", group_map.version, len(group_map.engines))
            self._follow_map()
            self._start(self._spread(group_map))
            self._on_change()
        return verdict

    def _follow_map(self) -> None:
        engines = self._peers.view.map.engines
        if self._swim is None:
            self._swim = Swim(self._peers.me, self._settings, time.monotonic())
        self._swim.set_group({rank: engine.incarnation for rank, engine in engines.items()}, time.monotonic())

    async def _spread(self, group_map: GroupMap) -> None:
        room = asyncio.Semaphore(_SPREAD_AT_ONCE)

        async def tell(rank: int) -> None:
            async with room:
                await self._offer_map(rank)

        await asyncio.gather(*(tell(rank) for rank in group_map.engines if rank != self._peers.me))

    async def _offer_map(self, rank: int) -> None:
        try:
            await self._peers.call(rank, FabricMethod.MAP_OFFER, self._peers.view.map.to_json(), _MAP_SECONDS)
        except DaosError as error:
            _log.debug("rank %d is not told of the group map: %s", rank, error)

    async def _fetch_map(self, rank: int) -> None:
        try:
            reply = await self._peers.call(rank, FabricMethod.MAP_FETCH, {}, _MAP_SECONDS)
            await self.receive_map(GroupMap.from_json(reply["map"]))
        except (DaosError, KeyError, TypeError, ValueError) as error:
            _log.debug("rank %d does not give its group map: %s", rank, error)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Tick until cancelled; then end what is still under way."""
        try:
            while True:
                await asyncio.sleep(self._settings.period)
                self._tick()
        finally:
            for task in self._tasks:
                task.cancel()

    def _tick(self) -> None:
        if self._swim is None:
            return
        for action in self._swim.tick(time.monotonic()):
            match action:
                case Ping(rank):
                    if rank not in self._pinging:
                        self._start(self._ping(rank))
                case AskHelpers(rank, helpers):
                    for helper in helpers:
                        self._start(self._ask_helper(rank, helper))
                case Died(rank, incarnation):
                    _log.warning("rank %d (incarnation %x) is dead", rank, incarnation)
                    self._start(self._report(rank, incarnation))
        self._note_deaths()

    async def _report(self, rank: int, incarnation: int) -> None:
        await self._on_death(rank, incarnation)

    def _note_deaths(self) -> None:
        if self.dead_ranks != self._dead:
            self._dead = self.dead_ranks
            self._on_change()

    def _news(self) -> dict[str, Any]:
        deaths = self._swim.deaths_to_tell(time.monotonic()) if self._swim is not None else []
        return {
            "rank": self._peers.view.rank,
            "incarnation": self._incarnation,
            "map_version": self._peers.view.map.version,
            "deaths": deaths,
        }

    def _hear(self, news: dict[str, Any]) -> None:
        """Take what a ping, or the answer to one, says."""
        if self._swim is None or news["rank"] is None:
            return
        now = time.monotonic()
        self._swim.heard(int(news["rank"]), int(news["incarnation"]), now)
        self._swim.told_dead([(int(r), int(i), float(age)) for r, i, age in news["deaths"]], now)
        self._note_deaths()

    async def _ping(self, rank: int) -> None:
        self._pinging.add(rank)
        try:
            news = await self._peers.call(rank, FabricMethod.PING, self._news(), self._settings.period)
            if news["rank"] != rank:
                return
            self._hear(news)
            version = self._peers.view.map.version
            if news["map_version"] < version:
                await self._offer_map(rank)
            elif news["map_version"] > version:
                await self._fetch_map(rank)
        except DaosError as error:
            _log.debug("rank %d does not answer a ping: %s", rank, error)
        except (KeyError, TypeError, ValueError) as error:
            _log.warning("rank %d answers pings in a form that is not understood: %s", rank, error)
        finally:
            self._pinging.discard(rank)

    async def _ask_helper(self, rank: int, helper: int) -> None:
        try:
            address = self._peers.address(rank)
            request = {"rank": rank, "uri": str(address)}
            reply = await self._peers.call(helper, FabricMethod.PING_OTHER, request, 2 * self._settings.period)
            if self._swim is not None and reply["incarnation"] is not None:
                self._swim.heard(rank, int(reply["incarnation"]), time.monotonic())
        except (DaosError, KeyError, TypeError, ValueError) as error:
            _log.debug("rank %d cannot help with rank %d: %s", helper, rank, error)

    async def answer_ping(self, request: dict[str, Any]) -> dict[str, Any]:
        """PING: we are alive; and what we know."""
        self._hear(request)
        newer = request["map_version"] > self._peers.view.map.version
        if newer and request["rank"] in self._peers.view.map.engines:
            self._start(self._fetch_map(int(request["rank"])))
        return self._news()

    async def answer_ping_other(self, request: dict[str, Any]) -> dict[str, Any]:
        """PING_OTHER: ping a rank for somebody who cannot reach it; answers its incarnation, or null."""
        try:
            address = FabricAddress.parse(str(request["uri"]))
            news = await call_json(address, FabricMethod.PING, self._news(), self._settings.period)
        except (DaosError, ValueError):
            return {"incarnation": None}
        return {"incarnation": news["incarnation"] if news["rank"] == request["rank"] else None}

    async def answer_map_fetch(self, _request: dict[str, Any]) -> dict[str, Any]:
        """MAP_FETCH: our group map."""
        return {"map": self._peers.view.map.to_json()}

    async def answer_map_offer(self, request: dict[str, Any]) -> dict[str, Any]:
        """MAP_OFFER: a group map from a peer. Raises DaosError AGAIN before we have a rank."""
        if self._peers.view.rank is None:
            raise DaosError(Status.AGAIN, "this engine has no rank yet")
        await self.receive_map(GroupMap.from_json(request))
        return {}
