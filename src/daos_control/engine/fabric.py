"""How engines talk to each other: calls over TCP on the fabric address.

A frame is four bytes of length, big-endian, and that many bytes: a serialized `drpc.Call` one way, a serialized
`drpc.Response` the other. Module is `MODULE`, methods are `FabricMethod`; bodies are JSON objects, except those of
POOL_CALL, which carries a dRPC call of module MGMT as it came. A reply's JSON has `status`, a DAOS status. There is
no authentication, as on DAOS's own fabric: the network is trusted.

This protocol is our own: DAOS's engines speak Mercury over libfabric and cannot be in one system with these.
"""

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any

from google.protobuf.message import DecodeError

from daos_control.drpc import DrpcStatus
from daos_control.engine.fabric_address import FabricAddress
from daos_control.engine.log import facility
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto import drpc_pb2

MODULE = 200
FRAME_BYTES_MAX = 16 << 20
CONNECTIONS_MAX = 1024
IDLE_SECONDS_MAX = 300.0
_LENGTH = struct.Struct(">I")

_log = facility("fabric")


class FabricMethod(IntEnum):
    """The calls between engines; the numbers are on the wire."""

    PING = 1
    PING_OTHER = 2
    MAP_FETCH = 3
    MAP_OFFER = 4
    TARGET_CREATE = 10
    TARGET_COMMIT = 11
    TARGET_ABORT = 12
    TARGET_DESTROY = 13
    TARGET_USAGE = 14
    TARGET_RESOLVE = 15
    TARGET_ATTEMPT = 16
    REGISTER_READ = 20
    REGISTER_PREPARE = 21
    REGISTER_ACCEPT = 22
    POOL_CALL = 30


class FabricError(Exception):
    """The peer broke the protocol."""


Handler = Callable[[bytes], Awaitable[bytes]]
JsonHandler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def json_handler(handler: JsonHandler) -> Handler:
    """A handler of JSON objects; a DaosError it raises becomes the reply's status."""

    async def run(body: bytes) -> bytes:
        request = json.loads(body)
        try:
            reply: dict[str, Any] = {"status": 0, **await handler(request)}
        except DaosError as error:
            reply = {"status": int(error.status), "detail": str(error)}
        return json.dumps(reply).encode()

    return run


async def _read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame; None where the peer closed between two."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > FRAME_BYTES_MAX:
            raise FabricError(f"frame of {length} bytes is above the limit of {FRAME_BYTES_MAX}")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        if error.partial or error.expected != _LENGTH.size:
            raise FabricError("connection closed within a frame") from error
        return None


def _frame(message: bytes) -> bytes:
    if len(message) > FRAME_BYTES_MAX:
        raise FabricError(f"message of {len(message)} bytes is above the limit of {FRAME_BYTES_MAX}")
    return _LENGTH.pack(len(message)) + message


class FabricServer:
    """Answers calls of peers; those of one connection in their order, connections side by side."""

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    def handle(self, method: FabricMethod, handler: Handler) -> None:
        self._handlers[method] = handler

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises OSError where the address is taken or not ours."""
        # Without SO_REUSEPORT: a second engine on the same port must fail, and not share its calls.
        self._server = await asyncio.start_server(self._accept, host, port, reuse_address=True)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._conversations:
            task.cancel()
        if self._conversations:
            await asyncio.wait(self._conversations)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._conversations) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._conversations.add(task)
        try:
            await self._converse(reader, writer)
        except FabricError as error:
            _log.warning("fabric connection of %s closed: %s", writer.get_extra_info("peername"), error)
        except (OSError, TimeoutError) as error:
            _log.debug("fabric connection of %s lost: %s", writer.get_extra_info("peername"), error)
        except asyncio.CancelledError:
            pass  # the engine stops; the stream's own callback would log a cancelled task as an error
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_SECONDS_MAX):
                frame = await _read_frame(reader)
            if frame is None:
                return
            try:
                call = drpc_pb2.Call.FromString(frame)
            except DecodeError as error:
                raise FabricError("frame is no call") from error
            status, body = await self._answer(call)
            reply = drpc_pb2.Response(sequence=call.sequence, status=status, body=body)  # type: ignore[arg-type]
            writer.write(_frame(reply.SerializeToString()))
            await writer.drain()

    async def _answer(self, call: drpc_pb2.Call) -> tuple[DrpcStatus, bytes]:
        if call.module != MODULE:
            return DrpcStatus.UNKNOWN_MODULE, b""
        handler = self._handlers.get(call.method)
        if handler is None:
            return DrpcStatus.UNKNOWN_METHOD, b""
        try:
            return DrpcStatus.SUCCESS, await handler(call.body)
        except Exception:  # noqa: BLE001 - a failing handler must not end the connection
            _log.exception("fabric call %s failed", FabricMethod(call.method).name)
            return DrpcStatus.FAILURE, b""


async def call_raw(address: FabricAddress, method: FabricMethod, body: bytes, seconds: float) -> bytes:
    """One call on a connection of its own. Raises DaosError: UNREACH, TIMEDOUT, or MISC where the peer fails."""
    outgoing = drpc_pb2.Call(module=MODULE, method=method, sequence=1, body=body)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address.host, address.port, limit=1 << 20)
            try:
                writer.write(_frame(outgoing.SerializeToString()))
                await writer.drain()
                frame = await _read_frame(reader)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        if frame is None:
            raise FabricError("peer closed without a reply")
        reply = drpc_pb2.Response.FromString(frame)
    except TimeoutError as error:
        raise DaosError(Status.TIMEDOUT, f"{address} did not answer {method.name} in {seconds:g} s") from error
    except (OSError, FabricError, DecodeError) as error:
        raise DaosError(Status.UNREACH, f"{address}, {method.name}: {error}") from error
    if int(reply.status) != DrpcStatus.SUCCESS:
        raise DaosError(Status.MISC, f"{address} failed in {method.name}")
    return reply.body


async def call_json(
    address: FabricAddress, method: FabricMethod, request: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """As `call_raw`, with JSON both ways. Raises DaosError with the status of the reply where it is not 0."""
    body = await call_raw(address, method, json.dumps(request).encode(), seconds)
    try:
        reply: dict[str, Any] = json.loads(body)
        status = int(reply["status"])
    except (ValueError, KeyError, TypeError) as error:
        raise DaosError(Status.PROTO, f"{address}: reply to {method.name} cannot be understood") from error
    if status != 0:
        raise DaosError(status, f"{address}, {method.name}: {reply.get('detail', '')}")
    return reply
