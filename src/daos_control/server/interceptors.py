"""What every RPC passes before and after its handler: logging, errors to the wire, versions, access.

From outermost to innermost as in DAOS (lifecycle.md 2.2): the call is logged; an error becomes gRPC status
details; a reply whose `status` is not 0 becomes an error; the peer's version is checked; then, with certificates,
whether its component may call the method.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message

from daos_control.faults import ControlError, DaosError, Fault, RemoteError
from daos_control.faults.server import incompatible_components, no_compatibility_insecure
from daos_control.faults.wire import abort_details
from daos_control.security.components import ALLOWED, Component, compatible
from daos_control.version import DAOS_VERSION, Version, split_system_name

COMPONENT_HEADER = "x-daos-component"
VERSION_HEADER = "x-daos-version"

_OURS = Version.parse(DAOS_VERSION)
_UNKNOWN_VERSION = Version(0, 0, 0)

_log = logging.getLogger(__name__)

Handler = Callable[[Any, Any], Awaitable[Any]]


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every unary handler; `secure` is whether peers show certificates."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = handler_call_details.method
        headers = dict(handler_call_details.invocation_metadata or ())
        inner: Handler = handler.unary_unary

        async def answer(request: Message, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
            return await self._answer(method, headers, inner, request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _answer(
        self,
        method: str,
        headers: Mapping[str, str | bytes],
        inner: Handler,
        request: Message,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> Any:
        began = time.monotonic()
        try:
            self._admit(method, headers, request, context)
            reply = await inner(request, context)
            raise_status(reply)
        except asyncio.CancelledError:
            _log.debug("%s from %s was cancelled", method, context.peer())
            raise
        except Exception as error:  # noqa: BLE001 - every error goes to the peer in one form
            code, text, metadata = abort_details(error)
            _log.info("%s from %s failed: %s: %s", method, context.peer(), code.name, text)
            await context.abort(code, text, metadata)
        _log.debug("%s from %s answered in %.1f ms", method, context.peer(), (time.monotonic() - began) * 1e3)
        return reply

    def _admit(
        self,
        method: str,
        headers: Mapping[str, str | bytes],
        request: Message,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> None:
        name = type(request).DESCRIPTOR.full_name
        component = certificate_component(context) if self._secure else None
        check_version(name, component, headers, request)
        if component is not None:
            check_access(name, component, method)


def certificate_component(context: "grpc.aio.ServicerContext[Any, Any]") -> Component:
    """The component that the peer's certificate names."""
    name = next(iter(context.auth_context().get("x509_common_name", ())), None)
    if name is None:
        raise RemoteError("Unauthenticated", "unable to verify client certificates")
    return Component.of(name.decode(errors="replace") if isinstance(name, bytes) else str(name))


def check_access(name: str, component: Component, method: str) -> None:
    if component not in ALLOWED.get(method, frozenset()):
        text = f"access denied for {name}: {component} does not have permission to call {method}"
        _log.warning("%s", text)
        raise RemoteError("PermissionDenied", text)


def check_version(
    name: str, certificate: Component | None, headers: Mapping[str, str | bytes], request: Message
) -> None:
    """Raises Fault 616 or 617 where the peer's version does not fit ours, RemoteError where it misstates itself.

    `certificate` is the component of the peer's certificate, None without certificates. Peers that send no headers
    are told by the version at the end of the request's `sys` (security.md 4).
    """
    component = certificate or Component.SERVER
    stated, version_text = headers.get(COMPONENT_HEADER), headers.get(VERSION_HEADER)
    if stated is not None and version_text is not None:
        claimed = Component.of(_text(stated))
        if claimed is Component.UNDEFINED:
            raise ControlError(f"version check failed for {name}: invalid component {_text(stated)!r} in headers")
        if certificate is not None and certificate is not claimed:
            text = f'component mismatch (req: "{claimed}" != cert: "{certificate}")'
            raise RemoteError("PermissionDenied", f"version check failed for {name}: {text}")
        component = claimed
        try:
            version = Version.parse(_text(version_text))
        except ValueError:
            raise _incompatible(component, _text(version_text)) from None
    else:
        if "sys" not in type(request).DESCRIPTOR.fields_by_name:
            return
        version = split_system_name(getattr(request, "sys"))[1] or _UNKNOWN_VERSION  # noqa: B009
        if certificate is None and version != _OURS:
            raise no_compatibility_insecure(DAOS_VERSION, str(version))
    if not compatible(_OURS, component, version):
        raise _incompatible(component, str(version))


def _incompatible(component: Component, version: str) -> Fault:
    return incompatible_components(f"server:{DAOS_VERSION}", f"{component}:{version}")


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def raise_status(reply: Any) -> None:
    """A nonzero `status` in a reply goes to the peer as an error that carries it."""
    if isinstance(reply, Message):
        field = type(reply).DESCRIPTOR.fields_by_name.get("status")
        if field is not None and field.type == field.TYPE_INT32:
            status = reply.status  # type: ignore[attr-defined]
            if status != 0:
                raise DaosError(status)
