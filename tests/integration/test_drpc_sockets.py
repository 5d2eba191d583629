"""dRPC over real sockets: what good and bad peers see."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from daos_control.drpc import DrpcServer, DrpcStatus, DrpcStatusError, FramingError, Method, call
from daos_control.drpc.framing import CHUNK_BYTES_MAX, Assembler, split
from daos_control.faults import Code, Fault
from daos_control.proto import drpc_pb2
from daos_control.proto.mgmt import svc_pb2
from daos_control.proto.srv import srv_pb2

HEADER = struct.Struct("<QQII")


class Service:
    """Handlers whose behaviour the tests steer."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)

    async def notify_ready(self, request: Message) -> None:
        assert isinstance(request, srv_pb2.NotifyReadyReq)

    async def find(self, request: Message) -> Message:
        assert isinstance(request, srv_pb2.PoolFindByLabelReq)
        return srv_pb2.PoolFindByLabelResp(uuid=request.label, svcreps=[1, 2])

    async def wait(self, request: Message) -> Message:
        self.waiting.release()
        await self.release.wait()
        return srv_pb2.GetPoolSvcResp(status=-1005)

    async def fail(self, request: Message) -> Message:
        raise RuntimeError("broken handler")

    async def refuse(self, request: Message) -> Message:
        raise DrpcStatusError(DrpcStatus.FAILED_MARSHAL)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest_asyncio.fixture
async def path(tmp_path: Path, service: Service) -> AsyncIterator[Path]:
    server = DrpcServer(tmp_path / "daos_server.sock")
    server.handle(Method.NOTIFY_READY, service.notify_ready)
    server.handle(Method.POOL_FIND_BY_LABEL, service.find)
    server.handle(Method.GET_POOL_SVC, service.wait)
    server.handle(Method.LIST_POOLS, service.fail)
    server.handle(Method.GET_SYS_PROPS, service.refuse)
    server.register_module(2)
    await server.start()
    yield tmp_path / "daos_server.sock"
    await server.close()


class RawPeer:
    """A peer that can send anything."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(str(path))

    def send(self, packet: bytes) -> None:
        self.socket.send(packet)

    def receive(self) -> bytes:
        assembler = Assembler()
        while True:
            packet = self.socket.recv(1 << 17)
            if not packet:
                raise EOFError
            message = assembler.feed(packet)
            if message is not None:
                return message

    def converse(self, message: bytes) -> drpc_pb2.Response:
        for packet in split(message):
            self.send(packet)
        return drpc_pb2.Response.FromString(self.receive())


async def raw(path: Path, act: object) -> object:
    assert callable(act)
    peer = await asyncio.to_thread(RawPeer, path)
    try:
        return await asyncio.to_thread(act, peer)
    finally:
        peer.socket.close()


async def still_serves(path: Path) -> None:
    reply = await call(path, Method.POOL_FIND_BY_LABEL, srv_pb2.PoolFindByLabelReq(label="tank"), timeout=10)
    assert reply == srv_pb2.PoolFindByLabelResp(uuid="tank", svcreps=[1, 2])


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES_MAX - 10, CHUNK_BYTES_MAX, 3 * CHUNK_BYTES_MAX + 1])
async def test_requests_and_replies_of_several_chunks_arrive_whole(path: Path, size: int) -> None:
    request = srv_pb2.PoolFindByLabelReq(label="a" * size)
    reply = await call(path, Method.POOL_FIND_BY_LABEL, request, timeout=10)
    assert isinstance(reply, srv_pb2.PoolFindByLabelResp)
    assert reply.uuid == request.label


@pytest.mark.asyncio
async def test_the_engines_first_call_with_sequence_0_gets_a_packet_with_a_header_only(path: Path) -> None:
    def act(peer: RawPeer) -> bytes:
        for packet in split(drpc_pb2.Call(module=3, method=301, sequence=0).SerializeToString()):
            peer.send(packet)
        return peer.socket.recv(1 << 17)

    assert await raw(path, act) == HEADER.pack(0, 0, 0, 1)


@pytest.mark.asyncio
async def test_calls_to_one_server_run_side_by_side(path: Path, service: Service) -> None:
    calls = [
        asyncio.create_task(call(path, Method.GET_POOL_SVC, srv_pb2.GetPoolSvcReq(), timeout=10)) for _ in range(20)
    ]
    for _ in calls:
        await asyncio.wait_for(service.waiting.acquire(), 10)  # all are inside their handler at once
    await still_serves(path)
    service.release.set()
    assert {getattr(reply, "status", None) for reply in await asyncio.gather(*calls)} == {-1005}


@pytest.mark.asyncio
async def test_a_call_ends_at_its_deadline_and_the_server_goes_on(path: Path) -> None:
    with pytest.raises(TimeoutError):
        await call(path, Method.GET_POOL_SVC, srv_pb2.GetPoolSvcReq(), timeout=0.05)
    await still_serves(path)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "status"),
    [
        (Method.LIST_POOLS, DrpcStatus.FAILURE),
        (Method.GET_SYS_PROPS, DrpcStatus.FAILED_MARSHAL),
        (Method.CHECK_LIST_POOL, DrpcStatus.UNKNOWN_METHOD),
        (Method.PING_RANK, DrpcStatus.UNKNOWN_METHOD),
        (Method.VALIDATE_CREDENTIALS, DrpcStatus.UNKNOWN_MODULE),
    ],
)
async def test_what_cannot_be_answered_has_its_status(path: Path, method: Method, status: DrpcStatus) -> None:
    with pytest.raises(DrpcStatusError) as caught:
        await call(path, method, timeout=10)
    assert caught.value.status == status
    await still_serves(path)


@pytest.mark.asyncio
async def test_an_undecodable_call_is_answered_with_sequence_minus_1(path: Path) -> None:
    reply = await raw(path, lambda peer: peer.converse(b"\xff\xff\xff"))
    assert reply == drpc_pb2.Response(sequence=-1, status=drpc_pb2.FAILED_UNMARSHAL_CALL)


@pytest.mark.asyncio
async def test_an_undecodable_body_is_answered_on_the_same_connection(path: Path) -> None:
    bad = drpc_pb2.Call(module=3, method=305, sequence=7, body=b"\xff\xff").SerializeToString()
    good = drpc_pb2.Call(module=3, method=301, sequence=8).SerializeToString()

    def act(peer: RawPeer) -> list[drpc_pb2.Response]:
        return [peer.converse(bad), peer.converse(good)]

    assert await raw(path, act) == [
        drpc_pb2.Response(sequence=7, status=drpc_pb2.FAILED_UNMARSHAL_PAYLOAD),
        drpc_pb2.Response(sequence=8),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "packets",
    [
        [b"short"],
        [b"\0" * ((1 << 17) + 1)],
        [HEADER.pack(0, 0, 0, 0)],
        [HEADER.pack(1 << 40, 3, 0, 1 << 20) + b"abc"],
        [HEADER.pack(6, 3, 0, 2) + b"abc", HEADER.pack(6, 3, 0, 2) + b"abc"],
    ],
    ids=["short", "oversized", "no chunks", "huge", "out of order"],
)
async def test_a_peer_that_breaks_the_framing_loses_its_connection_only(path: Path, packets: list[bytes]) -> None:
    def act(peer: RawPeer) -> bytes:
        for packet in packets:
            peer.send(packet)
        return peer.socket.recv(16)

    assert await raw(path, act) == b""
    await still_serves(path)


@pytest.mark.asyncio
async def test_a_peer_that_leaves_in_the_middle_or_before_the_reply_disturbs_nobody(
    path: Path, service: Service
) -> None:
    await raw(path, lambda peer: peer.send(HEADER.pack(6, 3, 0, 2) + b"abc"))
    event = drpc_pb2.Call(module=3, method=303, sequence=1).SerializeToString()
    await raw(path, lambda peer: peer.send(split(event)[0]))
    service.release.set()
    await still_serves(path)


@pytest.mark.asyncio
async def test_a_second_server_on_the_path_is_refused_and_the_first_goes_on(path: Path) -> None:
    with pytest.raises(Fault) as caught:
        await DrpcServer(path).start()
    assert caught.value.code == Code.SOCKET_FILE_IN_USE
    await still_serves(path)


@pytest.mark.asyncio
async def test_a_stale_socket_file_is_replaced_and_the_new_one_is_private(tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stale.bind(str(path))
    stale.close()
    server = DrpcServer(path)
    await server.start()
    assert path.stat().st_mode & 0o777 == 0o600
    await server.close()
    await server.close()
    assert not path.exists()


@pytest.mark.asyncio
async def test_closing_ends_open_connections(path: Path, tmp_path: Path) -> None:
    other = DrpcServer(tmp_path / "other.sock")
    never = asyncio.Event()

    async def wait(request: Message) -> None:
        await never.wait()

    other.handle(Method.NOTIFY_READY, wait)
    await other.start()
    pending = asyncio.create_task(call(tmp_path / "other.sock", Method.NOTIFY_READY, timeout=10))
    await still_serves(path)
    await other.close()
    with pytest.raises((FramingError, OSError)):
        await pending


@pytest.mark.asyncio
async def test_nobody_listening_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await call(tmp_path / "none.sock", Method.SET_RANK, svc_pb2.SetRankReq(), timeout=1)
