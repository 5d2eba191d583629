"""What the management service has to be told about the system and about the server that it runs in."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientNetHint:
    """How clients should set up their network for one provider (mgmt.ClientNetHint).

    `net_dev_class` is an ARPHRD number, `crt_timeout` seconds (0: the client's default), `srv_srx_set` 0 or 1,
    or -1 where the server does not say. `env_vars` are "NAME=value".
    """

    provider: str
    interface: str = ""
    domain: str = ""
    crt_timeout: int = 0
    net_dev_class: int = 0
    srv_srx_set: int = 0
    env_vars: tuple[str, ...] = ()
    provider_index: int = 0


@dataclass(frozen=True, slots=True)
class MsSettings:
    """Settings of one server's management service.

    `replicas` and `address` are control addresses "ip:port"; the first replica is the one that may start a new
    system, and a server whose own `address` is none of them is no replica: it only says who is. `providers` are
    the fabric providers in order, primary first ("ofi+tcp"). `client_net_hints` has one entry per provider.
    `fault_domain` is that of this host. Times are seconds.
    """

    system_name: str
    address: str
    replicas: tuple[str, ...]
    providers: tuple[str, ...]
    client_net_hints: tuple[ClientNetHint, ...]
    hostname: str
    fault_domain: str = ""
    control_port: int = 10001
    limits: "Limits" = field(default_factory=lambda: Limits())

    @property
    def is_replica(self) -> bool:
        return self.address in self.replicas

    @property
    def is_bootstrap(self) -> bool:
        """Whether this server may start a system that has no database yet."""
        return self.replicas[:1] == (self.address,)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the service's queues and waits. Counts, or seconds."""

    queue: int = 16384  # decisions that may wait for the writer
    batch: int = 1024  # decisions committed together
    fan_out: int = 64  # hosts asked at the same time
    waiting_creates: int = 256  # pool creates that may wait for their turn
    debounced_events: int = 65536
    request_s: float = 300.0  # a request without a deadline of its own
    pool_create_s: float = 600.0
    group_update_s: float = 60.0
    retry_min_s: float = 0.1  # first wait before a group update or a pool clean-up is tried again
    retry_max_s: float = 10.0
    close_s: float = 10.0  # for what is under way when the service closes
    event_memory_s: float = 3600.0  # how long a debounced event is remembered after it was last seen
