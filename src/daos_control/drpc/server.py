"""The listening side of dRPC. A peer that breaks the protocol loses its connection, never the server."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from google.protobuf.message import DecodeError, EncodeError, Message

from daos_control.drpc.connection import Connection
from daos_control.drpc.framing import FramingError
from daos_control.drpc.methods import Method
from daos_control.drpc.status import DrpcStatus, DrpcStatusError
from daos_control.faults.drpc import socket_in_use
from daos_control.proto import drpc_pb2

CONNECTIONS_MAX = 512
IDLE_SECONDS_MAX = 300.0
_ACCEPT_PAUSE_SECONDS = 0.1

Handler = Callable[[Message], Awaitable[Message | None]]

_log = logging.getLogger(__name__)


class DrpcServer:
    """Serves the methods given to `handle` on one socket file.

    Messages of one connection are answered in their order; connections run side by side, at most CONNECTIONS_MAX
    of them, further ones wait in the listen queue. A connection that is silent for IDLE_SECONDS_MAX is closed.
    """

    def __init__(self, path: Path | str, *, mode: int = 0o600) -> None:
        self._path = Path(path)
        self._mode = mode
        self._handlers: dict[tuple[int, int], tuple[Method, Handler]] = {}
        self._modules: set[int] = set()
        self._listener: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._task: asyncio.Task[None] | None = None

    def handle(self, method: Method, handler: Handler) -> None:
        """Answer `method` with what `handler` returns for its decoded request; None is an empty body.

        The handler may raise DrpcStatusError to choose the status; any other exception answers FAILURE.
        """
        self._handlers[method.module, method.number] = (method, handler)
        self._modules.add(method.module)

    def register_module(self, module: int) -> None:
        """Make the module known: methods of it that nobody handles answer UNKNOWN_METHOD."""
        self._modules.add(module)

    async def start(self) -> None:
        """Raises Fault 6 where another process answers on the path; OSError where it cannot be bound."""
        await self._remove_stale_file()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            listener.bind(str(self._path))
            self._path.chmod(self._mode)
            listener.listen(socket.SOMAXCONN)
        except BaseException:
            listener.close()
            raise
        found = self._path.stat()
        self._inode = (found.st_dev, found.st_ino)
        self._listener = listener
        self._task = asyncio.create_task(self._serve(listener), name=f"drpc {self._path}")

    async def close(self) -> None:
        """Stop listening, end all connections, remove the socket file. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._remove_own_file()

    def _remove_own_file(self) -> None:
        if self._inode is None:
            return
        try:
            found = self._path.stat()
            if (found.st_dev, found.st_ino) == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass
        self._inode = None

    async def _remove_stale_file(self) -> None:
        try:
            connection = await Connection.open(str(self._path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            self._path.unlink(missing_ok=True)
            return
        connection.close()
        raise socket_in_use(str(self._path))

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(CONNECTIONS_MAX)
        async with asyncio.TaskGroup() as connections:
            while True:
                await room.acquire()
                try:
                    peer, _ = await loop.sock_accept(listener)
                except OSError as error:
                    room.release()
                    _log.warning("cannot accept a dRPC connection now: %s", error)
                    await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                    continue
                connections.create_task(self._converse(peer, room))

    async def _converse(self, peer: socket.socket, room: asyncio.Semaphore) -> None:
        connection = Connection(peer)
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS_MAX):
                    message = await connection.receive()
                if message is None:
                    return
                reply = await self._answer(message)
                await connection.send(reply.SerializeToString())
        except FramingError as error:
            _log.warning("dRPC connection closed: %s", error)
        except (TimeoutError, OSError) as error:
            _log.debug("dRPC connection lost: %s", error or type(error).__name__)
        finally:
            connection.close()
            room.release()

    async def _answer(self, message: bytes) -> drpc_pb2.Response:
        try:
            incoming = drpc_pb2.Call.FromString(message)
        except DecodeError:
            return drpc_pb2.Response(sequence=-1, status=DrpcStatus.FAILED_UNMARSHAL_CALL)  # type: ignore[arg-type]
        status, body = await self._dispatch(incoming)
        return drpc_pb2.Response(sequence=incoming.sequence, status=status, body=body)  # type: ignore[arg-type]

    async def _dispatch(self, incoming: drpc_pb2.Call) -> tuple[DrpcStatus | int, bytes]:
        if incoming.module not in self._modules:
            return DrpcStatus.UNKNOWN_MODULE, b""
        method, handler = self._handlers.get((incoming.module, incoming.method), (None, None))
        if method is None or handler is None:
            _log.info("dRPC method %d of module %d is unknown here", incoming.method, incoming.module)
            return DrpcStatus.UNKNOWN_METHOD, b""
        try:
            request = drpc_pb2.Call() if method.request is None else method.request.FromString(incoming.body)
        except DecodeError:
            return DrpcStatus.FAILED_UNMARSHAL_PAYLOAD, b""
        try:
            reply = await handler(request)
        except DrpcStatusError as error:
            return error.status, b""
        except Exception:  # noqa: BLE001 - a failing handler must not end the connection
            _log.exception("dRPC method %s failed", method.name)
            return DrpcStatus.FAILURE, b""
        try:
            return DrpcStatus.SUCCESS, b"" if reply is None else reply.SerializeToString()
        except (EncodeError, ValueError):
            _log.exception("reply to dRPC method %s cannot be encoded", method.name)
            return DrpcStatus.FAILED_MARSHAL, b""
