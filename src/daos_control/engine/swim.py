"""Watching peers: who is alive, suspect, dead. A state machine with time passed in; it never touches a socket.

Each engine pings the next `watch` living ranks in the ring of ranks, so load per engine does not grow with the
system, and every rank is watched by `watch` others. A peer that is not heard of for `suspect_after` is suspect:
from then on others are asked to ping it as well. One not heard of for `dead_after`, by anybody asked, is dead.
Who saw it die tells the others, who pass it on with its age; news that nobody renews expires.

    ALIVE --silent for suspect_after--> SUSPECT --silent for dead_after--> DEAD
      ^------------------ heard of, or a newer incarnation ----------------'
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from daos_control.engine.options import SwimSettings

HELPERS = 2
_HEARSAY_PERIODS = 10
_PAUSE_PERIODS = 3


class PeerState(IntEnum):
    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


@dataclass(frozen=True, slots=True)
class Ping:
    """Ping this rank."""

    rank: int


@dataclass(frozen=True, slots=True)
class AskHelpers:
    """Have these ranks ping the suspect one."""

    rank: int
    helpers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Died:
    """This rank is dead, seen by ourselves: to be reported."""

    rank: int
    incarnation: int


Action = Ping | AskHelpers | Died


@dataclass(slots=True)
class _Peer:
    incarnation: int
    last_heard: float
    state: PeerState = PeerState.ALIVE
    reported: bool = False


@dataclass(frozen=True, slots=True)
class _Hearsay:
    incarnation: int
    said_at: float


class Swim:
    """What one engine (`me`) knows of the life of the others.

    Invariants: a death is reported once per rank and incarnation; only a peer that is watched can be declared dead
    here; an engine that was itself stopped for a while declares nobody dead because of that while.
    """

    def __init__(self, me: int, settings: SwimSettings, now: float) -> None:
        self._me = me
        self._settings = settings
        self._peers: dict[int, _Peer] = {}
        self._hearsay: dict[int, _Hearsay] = {}
        self._watched: tuple[int, ...] = ()
        self._last_tick = now

    def set_group(self, incarnations: Mapping[int, int], now: float) -> None:
        """Follow a new group map. A peer that is new, or started again, begins ALIVE."""
        peers: dict[int, _Peer] = {}
        for rank, incarnation in incarnations.items():
            if rank == self._me:
                continue
            known = self._peers.get(rank)
            peers[rank] = known if known and known.incarnation >= incarnation else _Peer(incarnation, now)
        self._peers = peers
        self._hearsay = {rank: said for rank, said in self._hearsay.items() if rank in peers}

    def tick(self, now: float) -> list[Action]:
        """What is due now; to be called once per period."""
        self._forgive_own_pause(now)
        self._expire_hearsay(now)
        self._rewatch(now)
        actions: list[Action] = []
        for rank in self._watched:
            peer = self._peers[rank]
            silent = now - peer.last_heard
            if peer.state is PeerState.ALIVE and silent >= self._settings.suspect_after:
                peer.state = PeerState.SUSPECT
            if peer.state is PeerState.SUSPECT:
                if silent >= self._settings.dead_after:
                    peer.state = PeerState.DEAD
                    if not peer.reported:
                        peer.reported = True
                        actions.append(Died(rank, peer.incarnation))
                else:
                    helpers = self._helpers(rank)
                    if helpers:
                        actions.append(AskHelpers(rank, helpers))
            actions.append(Ping(rank))
        return actions

    def _forgive_own_pause(self, now: float) -> None:
        pause = now - self._last_tick
        self._last_tick = now
        if pause > _PAUSE_PERIODS * self._settings.period:
            for peer in self._peers.values():
                peer.last_heard += pause

    def _expire_hearsay(self, now: float) -> None:
        limit = _HEARSAY_PERIODS * self._settings.period
        self._hearsay = {rank: said for rank, said in self._hearsay.items() if now - said.said_at < limit}

    def _rewatch(self, now: float) -> None:
        ring = sorted(self._peers)
        following = [rank for rank in ring if rank > self._me] + [rank for rank in ring if rank < self._me]
        watched: list[int] = []
        living = 0
        for rank in following:
            if living == self._settings.watch or len(watched) == 2 * self._settings.watch:
                break
            watched.append(rank)
            living += not self.is_dead(rank)
        for rank in watched:
            # One who was not watched so far had no occasion to be heard of.
            if rank not in self._watched and self._peers[rank].state is not PeerState.DEAD:
                self._peers[rank].last_heard = max(self._peers[rank].last_heard, now)
        self._watched = tuple(watched)

    def _helpers(self, suspect: int) -> tuple[int, ...]:
        others = [rank for rank in self._peers if rank != suspect and self.state(rank) is PeerState.ALIVE]
        later = sorted(others, key=lambda rank: (rank < suspect, rank))
        return tuple(later[:HELPERS])

    def heard(self, rank: int, incarnation: int, now: float) -> None:
        """The peer itself, in this or a later incarnation, gave a sign of life."""
        peer = self._peers.get(rank)
        if peer is None or incarnation < peer.incarnation:
            return
        if incarnation > peer.incarnation:
            peer.incarnation = incarnation
            peer.reported = False
        peer.last_heard = now
        peer.state = PeerState.ALIVE
        self._hearsay.pop(rank, None)

    def told_dead(self, news: Iterable[tuple[int, int, float]], now: float) -> None:
        """News of deaths from a peer: (rank, incarnation, age in seconds). What we hear ourselves counts more."""
        for rank, incarnation, age in news:
            peer = self._peers.get(rank)
            if peer is None or incarnation < peer.incarnation:
                continue
            said_at = now - max(age, 0.0)
            if now - peer.last_heard < self._settings.suspect_after and rank in self._watched:
                continue
            known = self._hearsay.get(rank)
            if known is None or known.said_at < said_at:
                self._hearsay[rank] = _Hearsay(incarnation, said_at)

    def deaths_to_tell(self, now: float) -> list[tuple[int, int, float]]:
        """What to tell others: own observations are fresh, hearsay has its age."""
        seen = [(r, p.incarnation, 0.0) for r, p in self._peers.items() if p.state is PeerState.DEAD]
        known = {rank for rank, _, _ in seen}
        said = [(r, h.incarnation, now - h.said_at) for r, h in self._hearsay.items() if r not in known]
        return sorted(seen + said)

    def is_dead(self, rank: int) -> bool:
        peer = self._peers.get(rank)
        return rank in self._hearsay or (peer is not None and peer.state is PeerState.DEAD)

    def state(self, rank: int) -> PeerState:
        return PeerState.DEAD if self.is_dead(rank) else self._peers[rank].state

    @property
    def dead_ranks(self) -> tuple[int, ...]:
        return tuple(sorted(rank for rank in self._peers if self.is_dead(rank)))

    @property
    def watched(self) -> tuple[int, ...]:
        return self._watched

    def check_invariants(self) -> None:
        if self._me in self._peers:
            raise AssertionError("an engine watches itself")
        if any(rank not in self._peers for rank in (*self._watched, *self._hearsay)):
            raise AssertionError("a rank that left the group is still watched")
        if any(peer.state is PeerState.DEAD and not peer.reported for peer in self._peers.values()):
            raise AssertionError("a death that was seen was not reported")
