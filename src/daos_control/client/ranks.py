"""Operations on the ranks of other servers, as the leader of the management service has them carried out."""

from collections.abc import Sequence
from typing import Final

from daos_control.client.connection import Client, Method, ctl
from daos_control.proto.ctl import ranks_pb2
from daos_control.proto.shared import ranks_pb2 as shared_ranks_pb2
from daos_control.system.ranks import RankSet
from daos_control.system.results import RankResult, collect
from daos_control.system.state import MemberState

RanksMethod = Method[ranks_pb2.RanksReq, ranks_pb2.RanksResp]

PREP_SHUTDOWN: Final[RanksMethod] = ctl("PrepShutdownRanks", ranks_pb2.RanksReq, ranks_pb2.RanksResp)
STOP: Final[RanksMethod] = ctl("StopRanks", ranks_pb2.RanksReq, ranks_pb2.RanksResp)
START: Final[RanksMethod] = ctl("StartRanks", ranks_pb2.RanksReq, ranks_pb2.RanksResp)
RESET_FORMAT: Final[RanksMethod] = ctl("ResetFormatRanks", ranks_pb2.RanksReq, ranks_pb2.RanksResp)


class RankClient:
    """Asks single servers to act on their own ranks.

    `client` is of component "server"; its own host list is not used. Every call returns one result for each rank
    it was given: one that the server says nothing of is Unresponsive. A server that cannot be reached, or does not
    answer within `timeout` seconds, raises as `Client.call` does; `unresponsive` makes the results of that.
    """

    def __init__(self, client: Client) -> None:
        self._client: Final = client

    async def prep_shutdown(
        self,
        address: str,
        ranks: RankSet,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Sequence[RankResult]:
        """Have engines disconnect their pools before a stop."""
        return await self._call(PREP_SHUTDOWN, address, ranks, "prep shutdown", timeout)

    async def stop(
        self,
        address: str,
        ranks: RankSet,
        *,
        force: bool,
        timeout: float,  # noqa: ASYNC109
    ) -> Sequence[RankResult]:
        """Stop engines; `force` kills them at once."""
        return await self._call(STOP, address, ranks, "stop", timeout, force=force)

    async def start(
        self,
        address: str,
        ranks: RankSet,
        *,
        check_mode: bool,
        timeout: float,  # noqa: ASYNC109
    ) -> Sequence[RankResult]:
        """Start engines that are stopped; `check_mode` for the checker."""
        return await self._call(START, address, ranks, "start", timeout, check_mode=check_mode)

    async def reset_format(
        self,
        address: str,
        ranks: RankSet,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Sequence[RankResult]:
        """Have engines forget their superblocks and wait for a format."""
        return await self._call(RESET_FORMAT, address, ranks, "reset format", timeout)

    async def close(self) -> None:
        await self._client.close()

    async def _call(
        self,
        method: RanksMethod,
        address: str,
        ranks: RankSet,
        action: str,
        timeout: float,  # noqa: ASYNC109
        *,
        force: bool = False,
        check_mode: bool = False,
    ) -> tuple[RankResult, ...]:
        request = ranks_pb2.RanksReq(ranks=str(ranks), force=force, check_mode=check_mode)
        reply = await self._client.call(address, method, request, timeout=timeout)
        return collect({address: ranks}, {address: [_result(r) for r in reply.results]}, action)


def unresponsive(address: str, ranks: RankSet, action: str, error: Exception) -> tuple[RankResult, ...]:
    """The results of ranks whose host failed with `error`."""
    return collect({address: ranks}, {address: error}, action)


def _result(message: shared_ranks_pb2.RankResult) -> RankResult:
    state = MemberState.from_wire_name(message.state)
    return RankResult(
        message.rank, message.action, state, message.errored, message=message.msg, address=message.addr
    )
