"""Requests to the management service: find a replica, follow it to the leader, ask again while that may help."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic

from daos_control.client import retry
from daos_control.client.connection import DEFAULT_TIMEOUT_SECONDS, Client, Method, Req, Resp
from daos_control.client.errors import (
    CALL_ERRORS,
    ManagementServiceUnreachableError,
    is_connection_error,
    is_timeout,
)
from daos_control.client.fanout import HostResult
from daos_control.client.retry import Action, NoResponseError, Policy
from daos_control.faults import Fault, SystemUnavailableError
from daos_control.faults import client as client_faults
from daos_control.faults.core import RAFT_UNAVAILABLE

# How long the other replicas may take after the first answer, where a newer answer of theirs would be preferred.
NEWER_ANSWER_SECONDS: Final = 1.0


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MsReply(Generic[Resp]):
    """The answer that counts, after how many retries it came, and what each host of the last try said."""

    message: Resp
    retries: int
    results: tuple[HostResult[Resp], ...]


async def invoke(
    client: Client,
    method: Method[Req, Resp],
    request: Req,
    *,
    policy: Policy = retry.DEFAULT,
    hosts: Sequence[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,  # noqa: ASYNC109
    try_timeout: float | None = None,
    on_retry: Callable[[Exception], None] | None = None,
) -> Resp:
    """As `invoke_detailed`, for the message alone."""
    reply = await invoke_detailed(
        client,
        method,
        request,
        policy=policy,
        hosts=hosts,
        timeout=timeout,
        try_timeout=try_timeout,
        on_retry=on_retry,
    )
    return reply.message


async def invoke_detailed(
    client: Client,
    method: Method[Req, Resp],
    request: Req,
    *,
    policy: Policy = retry.DEFAULT,
    hosts: Sequence[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,  # noqa: ASYNC109
    try_timeout: float | None = None,
    linger: float = 0.0,
    on_retry: Callable[[Exception], None] | None = None,
) -> MsReply[Resp]:
    """Send `request` until it is answered, refused for good, or `timeout` seconds have passed (Fault 510).

    The hosts asked are `hosts`, else a few of the client's own; from there the answers lead to the replicas and
    the leader. One try takes at most `try_timeout` seconds. `linger` is how long to wait for the other hosts of a
    try after the first has answered; `on_retry` is told the error of each try that another one follows. Raises
    what the server answered, or ManagementServiceUnreachableError.
    """
    known = client.pick_hosts(hosts)
    start = known if hosts else retry.candidates(known, client.random.sample)
    deadline = time.monotonic() + timeout
    current, tries = start, 0
    last: Exception | None = None
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _too_late(method.name, timeout, last)
        limit = left if try_timeout is None else min(left, try_timeout)
        results = await _ask_all(client, current, method, request, limit=limit, linger=linger)
        message, error = _answer(results)
        if message is not None:
            return MsReply(message, tries, results)
        decision = retry.decide(error, policy, current=current, start=start)
        log.debug("%s to %s: %s (%s)", method.name, ",".join(current), decision.action.name, error)
        match decision.action:
            case Action.RAISE_UNAVAILABLE:
                raise SystemUnavailableError(RAFT_UNAVAILABLE) from error
            case Action.RAISE | Action.RETURN:
                assert error is not None
                if is_connection_error(error):
                    raise ManagementServiceUnreachableError(error) from error
                raise error
        current = client.addresses(decision.hosts)
        pause = retry.backoff_seconds(tries, client.random.randrange)
        if time.monotonic() + pause >= deadline:
            raise _too_late(method.name, timeout, error) from error
        last = error
        if error is not None:
            client.notice_retry(error)
        if on_retry is not None and error is not None:
            on_retry(error)
        await client.sleep(pause)
        tries += 1


def _too_late(name: str, seconds: float, last: Exception | None) -> Fault:
    """Fault 510, which tells what the servers said until then."""
    fault = client_faults.rpc_timeout(name, seconds)
    if last is None or is_timeout(last):
        return fault
    text = f"{fault.description}; until then the answer was: {last}"
    return Fault(fault.domain, fault.code, text, fault.resolution)


async def _ask_all(
    client: Client, hosts: Sequence[str], method: Method[Req, Resp], request: Req, *, limit: float, linger: float
) -> tuple[HostResult[Resp], ...]:
    """One try: every host at once. It ends when all have answered or failed, or soon after the first answer:
    a host that hangs must not hold up what another one has already answered. The hosts that were not waited for
    are left out."""

    async def one(address: str) -> HostResult[Resp]:
        try:
            return HostResult(address, await client.call(address, method, request, timeout=limit))
        except CALL_ERRORS as e:
            return HostResult(address, error=e)

    if "data_version" in method.response.DESCRIPTOR.fields_by_name:
        linger = max(linger, NEWER_ANSWER_SECONDS)
    tasks = [asyncio.create_task(one(address)) for address in hosts]
    try:
        pending = set(tasks)
        until: float | None = None
        while pending:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if until is None and any(task.result().error is None for task in done):
                until = time.monotonic() + linger
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(task.result() for task in tasks if not task.cancelled())


def _answer(results: Sequence[HostResult[Resp]]) -> tuple[Resp | None, Exception | None]:
    """The answer that counts: the newest one where they carry a version, else the first; or the error that does."""
    answers = [result.message for result in results if result.message is not None]
    if answers:
        return max(answers, key=lambda message: getattr(message, "data_version", 0)), None
    errors = [result.error for result in results if result.error is not None]
    return None, min(errors, key=retry.telling, default=NoResponseError())
