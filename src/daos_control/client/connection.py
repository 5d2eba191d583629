"""A client of one DAOS system: its hosts, its channels, and single calls to single hosts."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, Protocol, Self, TypeVar

from daos_control.client.errors import from_rpc_error
from daos_control.faults import client as client_faults
from daos_control.system.hosts import HostSet, with_port
from daos_control.version import DAOS_VERSION, system_request_name

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message
    from grpc import aio

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 10001
DEFAULT_SYSTEM: Final = "daos_server"
DEFAULT_TIMEOUT_SECONDS: Final = 300.0
# A scan of a host with many devices is large; an answer beyond this is no answer of a DAOS server.
MAX_REPLY_BYTES: Final = 64 << 20

Req = TypeVar("Req", bound="Message")
Resp = TypeVar("Resp", bound="Message")


@dataclass(frozen=True, slots=True)
class Method(Generic[Req, Resp]):
    """One gRPC method: its path "/mgmt.MgmtSvc/Join" and the classes of its messages."""

    path: str
    request: type[Req]
    response: type[Resp]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def mgmt(name: str, request: type[Req], response: type[Resp]) -> Method[Req, Resp]:
    """A method of the management service."""
    return Method(f"/mgmt.MgmtSvc/{name}", request, response)


def ctl(name: str, request: type[Req], response: type[Resp]) -> Method[Req, Resp]:
    """A method of every server's control service."""
    return Method(f"/ctl.CtlSvc/{name}", request, response)


class Randomness(Protocol):
    """What the client draws lots with; `random.Random` is one."""

    def randrange(self, stop: int, /) -> int: ...

    def sample(self, population: Sequence[str], k: int) -> list[str]: ...


class Client:
    """Talks to the servers of one system; an async context manager, as it keeps a channel open to each host.

    `credentials` come from `security.tls.client_credentials`; None talks in plain text. `hosts` are the servers to
    begin with ("host:port"; without a port, `port`). `component` is what the servers know the caller as ("admin",
    "server", "agent"): the common name of its certificate. `notice_retry` is told why a request has to be sent
    again. `random_source` and `sleep` are there for tests.
    """

    def __init__(
        self,
        credentials: "grpc.ChannelCredentials | None",
        *,
        hosts: Sequence[str] = ("localhost",),
        system: str = DEFAULT_SYSTEM,
        port: int = DEFAULT_PORT,
        component: str = "admin",
        allow_proxy: bool = False,
        notice_retry: Callable[[Exception], None] = lambda _: None,
        random_source: Randomness | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not 0 < port < 65536:
            raise client_faults.bad_control_port(port)
        self.system: Final = system
        self.port: Final = port
        self.hosts: Final = self.addresses(hosts)
        self.random: Final[Randomness] = random_source or random.Random()
        self.sleep: Final = sleep
        self.notice_retry: Final = notice_retry
        self._credentials: Final = credentials
        self._allow_proxy: Final = allow_proxy
        self._metadata: Final = (("x-daos-component", component), ("x-daos-version", DAOS_VERSION))
        self._channels: Final[dict[str, aio.Channel]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every channel; calls under way are cancelled."""
        channels = list(self._channels.values())
        self._channels.clear()
        await asyncio.gather(*(channel.close(None) for channel in channels))

    @property
    def request_name(self) -> str:
        """The `sys` field of requests."""
        return system_request_name(self.system)

    def addresses(self, hosts: Sequence[str]) -> tuple[str, ...]:
        """`hosts` (ranges allowed) as distinct "host:port". ControlError for a malformed one."""
        return tuple(dict.fromkeys(with_port(host, self.port) for entry in hosts for host in HostSet.parse(entry)))

    def pick_hosts(self, hosts: Sequence[str] | None) -> tuple[str, ...]:
        """`hosts` where given, else the client's own; Fault 503 where there are none."""
        chosen = self.addresses(hosts) if hosts else self.hosts
        if not chosen:
            raise client_faults.empty_host_list()
        return chosen

    async def call(self, address: str, method: Method[Req, Resp], request: Req, *, timeout: float) -> Resp:  # noqa: ASYNC109
        """One call to one host. Raises the server's typed error; a Fault 504..508 when it cannot be reached;
        RemoteError for other statuses; Fault 510 when `timeout` seconds have passed."""
        import grpc

        channel = self._channel(address)
        invoke = channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        log.debug("%s to %s", method.name, address)
        try:
            # gRPC's own deadline travels to the server, which can stop working on it.
            reply: Resp = await asyncio.wait_for(
                invoke(request, timeout=max(timeout, 0.001), metadata=self._metadata), max(timeout, 0.001) + 1.0
            )
        except TimeoutError:
            raise client_faults.rpc_timeout(method.name, timeout) from None
        except grpc.aio.AioRpcError as e:
            if e.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise client_faults.rpc_timeout(method.name, timeout) from None
            raise from_rpc_error(e, address) from None
        return reply

    def _channel(self, address: str) -> "aio.Channel":
        channel = self._channels.get(address)
        if channel is None:
            from daos_control.security import tls

            options = (
                ("grpc.enable_http_proxy", int(self._allow_proxy)),
                ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
                # A server that comes back is found soon: the library would wait up to two minutes between tries.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            )
            channel = self._channels[address] = tls.open_channel(address, self._credentials, options)
        return channel
