"""Interceptors and mutual TLS on a real listener: who gets in, and what the others are told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from daos_control.faults import Code, DaosError, Fault, RemoteError
from daos_control.faults.wire import from_rpc_error
from daos_control.proto.ctl import ctl_pb2_grpc, ranks_pb2
from daos_control.proto.mgmt import mgmt_pb2_grpc, pool_pb2, svc_pb2, system_pb2
from daos_control.security import certs
from daos_control.security.tls import Transport, client_credentials, load_client, open_channel, server_credentials
from daos_control.server.interceptors import RequestInterceptor

HEADERS = (("x-daos-component", "admin"), ("x-daos-version", "2.8.0"))


class Mgmt(mgmt_pb2_grpc.MgmtSvcServicer):
    """Handlers that answer, refuse and break."""

    async def SystemQuery(self, request: Any, context: Any) -> Any:
        return system_pb2.SystemQueryResp(providers=["ofi+tcp"])

    async def GetAttachInfo(self, request: Any, context: Any) -> Any:
        return svc_pb2.GetAttachInfoResp(sys="daos_server")

    async def PoolEvict(self, request: Any, context: Any) -> Any:
        return pool_pb2.PoolEvictResp(status=-1012)

    async def ListPools(self, request: Any, context: Any) -> Any:
        raise ZeroDivisionError("nobody foresaw this")


class Ctl(ctl_pb2_grpc.CtlSvcServicer):
    async def StopRanks(self, request: Any, context: Any) -> Any:
        return ranks_pb2.RanksResp()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rpc") / "certs"
    certs.init(path)
    return path


def transport(directory: Path, component: str) -> Transport:
    return Transport(
        ca_cert=directory / "daosCA.crt",
        cert=directory / f"{component}.crt",
        key=directory / f"{component}.key",
        client_cert_dir=directory / "clients",
    )


async def serve(credentials: grpc.ServerCredentials | None) -> tuple[grpc.aio.Server, str]:
    server = grpc.aio.server(interceptors=[RequestInterceptor(secure=credentials is not None)])
    mgmt_pb2_grpc.add_MgmtSvcServicer_to_server(Mgmt(), server)
    ctl_pb2_grpc.add_CtlSvcServicer_to_server(Ctl(), server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, f"127.0.0.1:{port}"


@pytest_asyncio.fixture
async def secure(directory: Path) -> AsyncIterator[str]:
    server, address = await serve(server_credentials(transport(directory, "server")))
    yield address
    await server.stop(None)


@pytest_asyncio.fixture
async def insecure() -> AsyncIterator[str]:
    server, address = await serve(None)
    yield address
    await server.stop(None)


async def ask(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    request: Any,
    method: str,
    headers: tuple[tuple[str, str], ...] = HEADERS,
) -> Any:
    """The reply, or the typed error that came instead."""
    async with open_channel(address, credentials) as channel:
        service = ctl_pb2_grpc.CtlSvcStub(channel) if method == "StopRanks" else mgmt_pb2_grpc.MgmtSvcStub(channel)
        try:
            return await getattr(service, method)(request, metadata=headers, timeout=20)
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error)


def headers(component: str, version: str = "2.8.0") -> tuple[tuple[str, str], ...]:
    return (("x-daos-component", component), ("x-daos-version", version))


@pytest.mark.asyncio
async def test_an_administrator_is_answered_over_tls(secure: str, directory: Path) -> None:
    credentials = client_credentials(transport(directory, "admin"))
    reply = await ask(secure, credentials, system_pb2.SystemQueryReq(), "SystemQuery")
    assert reply == system_pb2.SystemQueryResp(providers=["ofi+tcp"])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("component", "request_", "method", "allowed"),
    [
        ("admin", system_pb2.SystemQueryReq(), "SystemQuery", True),
        ("agent", system_pb2.SystemQueryReq(), "SystemQuery", False),
        ("server", system_pb2.SystemQueryReq(), "SystemQuery", False),
        ("agent", svc_pb2.GetAttachInfoReq(), "GetAttachInfo", True),
        ("admin", svc_pb2.GetAttachInfoReq(), "GetAttachInfo", False),
        ("server", ranks_pb2.RanksReq(), "StopRanks", True),
        ("admin", ranks_pb2.RanksReq(), "StopRanks", False),
    ],
)
async def test_each_component_may_call_its_methods_only(
    secure: str, directory: Path, component: str, request_: Any, method: str, allowed: bool
) -> None:
    credentials = client_credentials(transport(directory, component))
    reply = await ask(secure, credentials, request_, method, headers(component))
    if allowed:
        assert not isinstance(reply, Exception)
    else:
        assert isinstance(reply, RemoteError)
        assert reply.code == "PermissionDenied"
        assert f"{component} does not have permission to call" in str(reply)


@pytest.mark.asyncio
async def test_a_component_in_the_headers_must_be_the_certificates(secure: str, directory: Path) -> None:
    credentials = client_credentials(transport(directory, "agent"))
    reply = await ask(secure, credentials, svc_pb2.GetAttachInfoReq(), "GetAttachInfo", headers("admin"))
    assert isinstance(reply, RemoteError)
    assert reply.code == "PermissionDenied"
    assert "component mismatch" in str(reply)


@pytest.mark.asyncio
async def test_without_certificates_the_headers_are_believed_and_nothing_is_denied(insecure: str) -> None:
    reply = await ask(insecure, None, svc_pb2.GetAttachInfoReq(), "GetAttachInfo", headers("admin"))
    assert reply == svc_pb2.GetAttachInfoResp(sys="daos_server")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sent", "sys", "code"),
    [
        (headers("admin", "2.6.0"), "", Code.SERVER_INCOMPATIBLE_COMPONENTS),
        (headers("admin", "unknown"), "", Code.SERVER_INCOMPATIBLE_COMPONENTS),
        (headers("agent", "2.6.0"), "", None),
        ((), "daos_server-2.8.0", None),
        ((), "daos_server-2.6.0", Code.SERVER_NO_COMPATIBILITY_INSECURE),
        ((), "daos_server", Code.SERVER_NO_COMPATIBILITY_INSECURE),
    ],
)
async def test_a_client_of_another_version_is_told_so(
    insecure: str, sent: tuple[tuple[str, str], ...], sys: str, code: Code | None
) -> None:
    reply = await ask(insecure, None, system_pb2.SystemQueryReq(sys=sys), "SystemQuery", sent)
    if code is None:
        assert not isinstance(reply, Exception)
    else:
        assert isinstance(reply, Fault)
        assert reply.code == code
        assert "2.8.0" in reply.description


@pytest.mark.asyncio
async def test_a_nonzero_status_reaches_the_client_as_an_error(insecure: str) -> None:
    reply = await ask(insecure, None, pool_pb2.PoolEvictReq(), "PoolEvict")
    assert isinstance(reply, DaosError)
    assert reply.status == -1012


@pytest.mark.asyncio
async def test_an_unforeseen_error_is_a_labelled_fault_and_the_server_goes_on(insecure: str) -> None:
    reply = await ask(insecure, None, pool_pb2.ListPoolsReq(), "ListPools")
    assert isinstance(reply, Fault)
    assert "ZeroDivisionError" in reply.description
    assert not isinstance(await ask(insecure, None, system_pb2.SystemQueryReq(), "SystemQuery"), Exception)


@pytest.mark.asyncio
async def test_peers_without_the_right_certificate_do_not_get_through(
    secure: str, directory: Path, tmp_path: Path
) -> None:
    certs.init(tmp_path / "other")
    stranger = client_credentials(transport(tmp_path / "other", "admin"))
    for credentials in (None, stranger):
        reply = await ask(secure, credentials, system_pb2.SystemQueryReq(), "SystemQuery")
        assert isinstance(reply, RemoteError | TimeoutError)


@pytest.mark.asyncio
async def test_a_client_refuses_a_server_with_another_components_certificate(directory: Path) -> None:
    # Our own server does not start with such a one: this is an agent that plays the server.
    agent = load_client(transport(directory, "agent"))
    server, address = await serve(
        grpc.ssl_server_credentials(
            [(agent.key, agent.chain)], root_certificates=agent.ca, require_client_auth=True
        )
    )
    try:
        credentials = client_credentials(transport(directory, "admin"))
        reply = await ask(address, credentials, system_pb2.SystemQueryReq(), "SystemQuery")
    finally:
        await server.stop(None)
    assert isinstance(reply, RemoteError)
    assert reply.code == "Unavailable"


@pytest.mark.asyncio
async def test_an_oversized_request_is_refused_and_the_server_goes_on(insecure: str) -> None:
    reply = await ask(insecure, None, system_pb2.SystemQueryReq(ranks="1," * (3 << 20)), "SystemQuery")
    assert isinstance(reply, RemoteError)
    assert reply.code == "ResourceExhausted"
    assert not isinstance(await ask(insecure, None, system_pb2.SystemQueryReq(), "SystemQuery"), Exception)


@pytest.mark.asyncio
async def test_many_calls_at_once_are_all_answered(secure: str, directory: Path) -> None:
    credentials = client_credentials(transport(directory, "admin"))
    async with open_channel(secure, credentials) as channel:
        stub = mgmt_pb2_grpc.MgmtSvcStub(channel)
        calls = [stub.SystemQuery(system_pb2.SystemQueryReq(), metadata=HEADERS, timeout=20) for _ in range(200)]
        replies = await asyncio.gather(*calls)
    assert len(replies) == 200
