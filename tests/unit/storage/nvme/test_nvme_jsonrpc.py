"""Our JSON-RPC client, against a server that does what it must not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.nvme import jsonrpc
from daos_control.storage.nvme.jsonrpc import RpcClient, RpcError


@asynccontextmanager
async def served(path: Path, *chunks: bytes, close: bool = True) -> AsyncIterator[RpcClient]:
    """A client of a server that answers the first request with these bytes, in pieces."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)
        if not close:
            await done.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, path / "s")
    async with server, await RpcClient.connect(path / "s") as client:
        yield client
        done.set()


def reply(**fields: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1} | fields).encode()


@pytest.mark.asyncio
async def test_a_result_that_comes_in_pieces_is_put_together(tmp_path: Path) -> None:
    data = reply(result=[{"a": "}"}, {"b": [1, 2]}])
    async with served(tmp_path, *(data[i : i + 3] for i in range(0, len(data), 3)), close=False) as client:
        assert await client.call("x") == [{"a": "}"}, {"b": [1, 2]}]


@pytest.mark.asyncio
async def test_an_error_answered_keeps_code_and_message(tmp_path: Path) -> None:
    async with served(tmp_path, reply(error={"code": -19, "message": "No such device"})) as client:
        with pytest.raises(RpcError) as caught:
            await client.call("attach")
    assert (caught.value.method, caught.value.code, caught.value.message) == ("attach", -19, "No such device")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "closed the connection"),
        (b'{"jsonrpc": "2.0", "id"', "closed the connection within an answer"),
        (b"\x00\x01garbage", "no JSON"),
        (b"[1, 2]", "no JSON"),
        (reply(id=2, result=1), "none to this call"),
        (reply(), "neither result nor error"),
        (b'{"result": ' + b"1" * 2000, "longer than"),
    ],
)
async def test_what_is_no_answer_is_fault_802(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, says: str
) -> None:
    monkeypatch.setattr(jsonrpc, "REPLY_BYTES_MAX", 1000)
    async with served(tmp_path, data) as client:
        with pytest.raises(Fault, match=says) as caught:
            await client.call("method", {"a": 1})
    assert caught.value.code == Code.SPDK_BINDING_RET_NULL
    assert "method" in caught.value.description


@pytest.mark.asyncio
async def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    async with served(tmp_path, close=False) as client:
        with pytest.raises(Fault, match=r"within 0\.05 s") as caught:
            await client.call("method", timeout=0.05)
    assert caught.value.code == Code.SPDK_BINDING_RET_NULL
