"""A server of CtlSvc and MgmtSvc on a loopback port that answers what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from daos_control.faults.wire import abort_details
from daos_control.proto.ctl import ctl_pb2
from daos_control.proto.mgmt import mgmt_pb2

Answer = Message | Exception | Callable[[Any], "Message | Awaitable[Message]"]

_SERVICES = (mgmt_pb2.DESCRIPTOR.services_by_name["MgmtSvc"], ctl_pb2.DESCRIPTOR.services_by_name["CtlSvc"])


class FakeControl:
    """Answers by the name of a method: a message, an error to raise, or a function of the request.

    A function may raise, and may be asynchronous. What has no answer is Unimplemented. `calls` are the requests
    that came in, with their metadata.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.calls: list[tuple[str, Message, dict[str, str]]] = []
        self.address = ""
        self._server: grpc.aio.Server | None = None

    async def start(self, credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0") -> None:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((_Handler(self),))
        host = address.partition(":")[0]
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        self.address = f"{host}:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]

    async def answer(self, name: str, request: Message, context: grpc.aio.ServicerContext) -> Message:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        self.calls.append((name, request, metadata))
        try:
            answer = self.answers[name]
            if callable(answer):
                answer = answer(request)
                if isinstance(answer, Awaitable):
                    answer = await answer
            if isinstance(answer, Exception):
                raise answer
        except KeyError:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {name}")
        except asyncio.CancelledError:
            raise
        except Exception as e:  # noqa: BLE001 whatever a test raises goes to the client
            code, text, details = abort_details(e)
            context.set_trailing_metadata(details)
            await context.abort(code, text)
        assert isinstance(answer, Message)
        return answer


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, fake: FakeControl) -> None:
        self._fake = fake

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        service_name, _, name = details.method.lstrip("/").partition("/")
        for service in _SERVICES:
            method = service.methods_by_name.get(name)
            if service.full_name != service_name or method is None:
                continue

            async def handle(request: Message, context: grpc.aio.ServicerContext) -> Message:
                return await self._fake.answer(name, request, context)

            return grpc.unary_unary_rpc_method_handler(
                handle,
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
        return None


@asynccontextmanager
async def fake_control(
    answers: Mapping[str, Answer], credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0"
) -> AsyncIterator[FakeControl]:
    """A FakeControl that runs."""
    fake = FakeControl(answers)
    await fake.start(credentials, address)
    try:
        yield fake
    finally:
        await fake.stop()
