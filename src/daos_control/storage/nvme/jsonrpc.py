"""JSON-RPC 2.0 over a UNIX socket, as SPDK's programs speak it: one call at a time, each with a deadline."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daos_control.faults import bdev as faults

REPLY_BYTES_MAX = 32 << 20  # what SPDK itself would send at most
CALL_SECONDS = 30.0


class RpcError(Exception):
    """An error that the program answered: a negative errno, or one of JSON-RPC's own numbers."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code
        self.message = message


class RpcClient:
    """One connection. After a call that failed otherwise than by an RpcError it is of no more use."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """Raises OSError."""
        return cls(*await asyncio.open_unix_connection(path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float = CALL_SECONDS,  # noqa: ASYNC109 the deadline is part of the call
    ) -> Any:
        """The result. Raises RpcError for an error answered, and Fault 802 where there is no answer, or none that
        can be understood, within `timeout` seconds."""
        self._number += 1
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": self._number, "method": method}
        if params is not None:
            request["params"] = dict(params)
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(json.dumps(request).encode())
                await self._writer.drain()
                reply = await self._receive(method)
        except TimeoutError as error:
            raise faults.spdk_no_answer(method, f"nothing came within {timeout:g} s") from error
        except OSError as error:
            raise faults.spdk_no_answer(method, error.strerror or str(error)) from error
        return self._result(method, reply)

    async def _receive(self, method: str) -> Any:
        """One JSON value; there is nothing else that would tell where it ends."""
        data = bytearray()
        seen = 0
        while chunk := await self._reader.read(1 << 16):
            data += chunk
            if len(data) > REPLY_BYTES_MAX:
                raise faults.spdk_no_answer(method, f"its answer is longer than {REPLY_BYTES_MAX} bytes")
            start = bytes(data).lstrip()[:1]
            if start and start != b"{":
                raise faults.spdk_no_answer(method, "its answer is no JSON")
            # An answer ends with a brace: only then is it worth the parser's time, and only where more came.
            if not data.rstrip().endswith(b"}") or len(data) == seen:
                continue
            seen = len(data)
            with contextlib.suppress(ValueError):
                return json.loads(data)
        raise faults.spdk_no_answer(method, "it closed the connection" + (" within an answer" if data else ""))

    def _result(self, method: str, reply: Any) -> Any:
        if not isinstance(reply, dict) or reply.get("id") != self._number:
            raise faults.spdk_no_answer(method, "its answer is none to this call")
        if (error := reply.get("error")) is not None:
            code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (0, error)
            raise RpcError(method, code if isinstance(code, int) else 0, str(message))
        if "result" not in reply:
            raise faults.spdk_no_answer(method, "its answer has neither result nor error")
        return reply["result"]
