"""CtlSvc: what a server answers about its own host, each method handed to the room that knows."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from daos_control.faults.unimplemented import UnimplementedFault
from daos_control.proto.ctl import ctl_pb2

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Awaitable[Message]]

_SERVICE = ctl_pb2.DESCRIPTOR.services_by_name["CtlSvc"]


def control_service(handlers: Mapping[str, Handler]) -> grpc.GenericRpcHandler:
    """The service, of handlers by method name ("StorageScan"); what has none is refused with an UnimplementedFault.

    Raises ValueError for a name that is no method of the service.
    """
    unknown = set(handlers) - {method.name for method in _SERVICE.methods}
    if unknown:
        raise ValueError(f"CtlSvc has no {', '.join(sorted(unknown))}")
    methods = {}
    for method in _SERVICE.methods:
        methods[method.name] = grpc.unary_unary_rpc_method_handler(
            handlers.get(method.name) or _refusal(method.name),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(_SERVICE.full_name, methods)


def _refusal(name: str) -> Handler:
    async def refuse(_request: Message, _context: Context) -> Message:
        raise UnimplementedFault(f"/{_SERVICE.full_name}/{name}")

    return refuse
