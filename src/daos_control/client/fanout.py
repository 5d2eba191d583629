"""One request to many hosts at once: exactly one result for each, by the deadline, whatever they do."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic

from daos_control.client.connection import DEFAULT_TIMEOUT_SECONDS, Client, Method, Req, Resp
from daos_control.client.errors import CALL_ERRORS
from daos_control.faults import client as client_faults

# Calls under way at once. A host that hangs holds one of these until the deadline, so there are many.
MAX_CALLS: Final = 256


@dataclass(frozen=True, slots=True)
class HostResult(Generic[Resp]):
    """What one host answered: a `message`, or an `error`."""

    address: str
    message: Resp | None = None
    error: Exception | None = None


async def fan_out(
    client: Client,
    hosts: Sequence[str],
    method: Method[Req, Resp],
    request: Req | Callable[[str], Req],
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,  # noqa: ASYNC109
    limit: int = MAX_CALLS,
    report: Callable[[HostResult[Resp]], None] | None = None,
) -> list[HostResult[Resp]]:
    """Call every host of `hosts` (distinct) and return their results in that order.

    `request` may be a function of the address. `timeout` is in seconds and for all of them together; a host that
    has not answered by then gets Fault 510. `report` is called with each result as it comes in.
    """
    deadline = time.monotonic() + timeout
    slots = asyncio.Semaphore(limit)

    async def one(address: str) -> HostResult[Resp]:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - time.monotonic()):
                await slots.acquire()
        except TimeoutError:
            return HostResult(address, error=client_faults.rpc_timeout(method.name, timeout))
        try:
            left = deadline - time.monotonic()
            body = request(address) if callable(request) else request
            return HostResult(address, await client.call(address, method, body, timeout=left))
        except CALL_ERRORS as e:
            return HostResult(address, error=e)
        finally:
            slots.release()

    async def reported(address: str) -> HostResult[Resp]:
        result = await one(address)
        if report is not None:
            report(result)
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reported(address)) for address in hosts]
    return [task.result() for task in tasks]
