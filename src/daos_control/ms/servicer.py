"""The gRPC face of the management service: every method of mgmt.MgmtSvc, checked and then handed on."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import grpc
from google.protobuf.message import Message

from daos_control.faults.unimplemented import UnimplementedFault
from daos_control.ms.attach_info import AttachInfo
from daos_control.ms.calls import Call
from daos_control.ms.routing import ROUTES, Asks, Route, check_open, check_replica, check_system
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.proto.mgmt import mgmt_pb2_grpc, svc_pb2

SERVICE = "mgmt.MgmtSvc"

Handler = Callable[[Any, Call], Awaitable[Message]]
"""Answers a request that has passed all checks; raises typed errors, or leaves a DAOS status in the reply."""

_Context = grpc.aio.ServicerContext[Any, Any]


def make_servicer(
    settings: MsSettings, session: Session, handlers: Mapping[str, Handler]
) -> mgmt_pb2_grpc.MgmtSvcServicer:
    """A servicer with every method of `ROUTES`; one without a handler answers that it is not offered.

    The checks of membership.md 7.1 come first, in this order: the system's name, whether this server is a replica,
    whether there is a system and it is served here, whether the checker holds everything else back.
    """
    unknown = handlers.keys() - ROUTES.keys()
    if unknown:
        raise ValueError(f"mgmt.MgmtSvc has no {', '.join(sorted(unknown))}")
    methods = {
        method: _checked(settings, session, method, route, handlers.get(method)) for method, route in ROUTES.items()
    }
    servicer = type("MgmtServicer", (mgmt_pb2_grpc.MgmtSvcServicer,), dict(methods))()
    return cast("mgmt_pb2_grpc.MgmtSvcServicer", servicer)


def _checked(
    settings: MsSettings, session: Session, method: str, route: Route, handler: Handler | None
) -> Callable[[Any, Any, _Context], Awaitable[Message]]:
    async def answer(_self: Any, request: Any, context: _Context) -> Message:
        if handler is None:
            raise UnimplementedFault(f"/{SERVICE}/{method}")
        if "sys" in request.DESCRIPTOR.fields_by_name:
            check_system(settings, request.sys)
        check_replica(settings)
        if route.asks is not Asks.ANYBODY:
            check_open(session, method, route)
        return await handler(request, Call.of(context, settings.limits.request_s))

    answer.__name__ = answer.__qualname__ = method
    return answer


def register(servicer: mgmt_pb2_grpc.MgmtSvcServicer, attach_info: AttachInfo, server: grpc.aio.Server) -> None:
    """Add the servicer to `server`, with GetAttachInfo's replies encoded once.

    `mgmt_pb2_grpc.add_MgmtSvcServicer_to_server` does as well, and encodes them each time.
    """
    mgmt_pb2_grpc.add_MgmtSvcServicer_to_server(servicer, cast("grpc.aio.Server", _Registrar(attach_info, server)))


class _Registrar:
    """Stands before a server while methods are registered, and gives one of them another serializer."""

    def __init__(self, attach_info: AttachInfo, server: grpc.aio.Server) -> None:
        self._attach_info = attach_info
        self._server = server

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """The same methods once more; `add_registered_method_handlers` has them by name."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        original = handlers["GetAttachInfo"]
        handlers = {
            **handlers,
            "GetAttachInfo": grpc.unary_unary_rpc_method_handler(
                original.unary_unary,
                request_deserializer=svc_pb2.GetAttachInfoReq.FromString,
                response_serializer=self._attach_info.encode,
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
