"""Calls to a dRPC server: each on a connection of its own, so that calls to one engine run side by side."""

import asyncio
from pathlib import Path

from google.protobuf.message import DecodeError, Message

from daos_control.drpc.connection import Connection
from daos_control.drpc.framing import FramingError
from daos_control.drpc.methods import Method
from daos_control.drpc.status import DrpcStatus, DrpcStatusError
from daos_control.proto import drpc_pb2

# DAOS's engine aborts when it has to send a message of no bytes, which a reply to sequence 0 can be.
_SEQUENCE = 1


async def call(path: Path | str, method: Method, request: Message | None = None, *, timeout: float) -> Message:  # noqa: ASYNC109
    """Call `method` of the server at `path` and return its decoded reply, within `timeout` seconds.

    Raises OSError where nobody listens, TimeoutError, FramingError where the peer breaks the protocol, and
    DrpcStatusError where the envelope's status is not SUCCESS. A DAOS status inside the reply is the caller's
    to look at. A method without a reply message answers an empty `drpc.Response`.
    """
    body = b"" if request is None else request.SerializeToString()
    outgoing = drpc_pb2.Call(module=method.module, method=method.number, sequence=_SEQUENCE, body=body)
    async with asyncio.timeout(timeout):
        connection = await Connection.open(str(path))
        try:
            await connection.send(outgoing.SerializeToString())
            message = await connection.receive()
        finally:
            connection.close()
    if message is None:
        raise FramingError(f"{path} closed the connection without a reply to {method.name}")
    return _decode(method, message)


def _decode(method: Method, message: bytes) -> Message:
    try:
        envelope = drpc_pb2.Response.FromString(message)
        if int(envelope.status) != DrpcStatus.SUCCESS:
            raise DrpcStatusError(int(envelope.status), method.name)
        return drpc_pb2.Response() if method.response is None else method.response.FromString(envelope.body)
    except DecodeError as error:
        raise FramingError(f"reply to {method.name} cannot be decoded: {error}") from error
