"""RAS events: what happened to an engine, a pool or a device, as engines and servers report it to each other.

The numbers are on the wire (shared.RASEvent) and never change.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from daos_control.system.member import NIL_RANK


class RasId(IntEnum):
    """What happened. Engines may send numbers beyond these, which are kept as they are."""

    UNKNOWN = 0
    ENGINE_FORMAT_REQUIRED = 1
    ENGINE_DIED = 2
    ENGINE_ASSERTED = 3
    ENGINE_CLOCK_DRIFT = 4
    ENGINE_SELF_TERMINATED = 5
    POOL_CORRUPTION_DETECTED = 6
    POOL_REBUILD_STARTED = 7
    POOL_REBUILD_FINISHED = 8
    POOL_REBUILD_FAILED = 9
    POOL_REPLICAS_UPDATED = 10
    POOL_DURABLE_FORMAT_INCOMPATIBLE = 11
    POOL_DESTROY_DEFERRED = 12
    POOL_START_FAILED = 13
    CONTAINER_DURABLE_FORMAT_INCOMPATIBLE = 14
    RDB_DURABLE_FORMAT_INCOMPATIBLE = 15
    SWIM_RANK_ALIVE = 16
    SWIM_RANK_DEAD = 17
    SYSTEM_START_FAILED = 18
    SYSTEM_STOP_FAILED = 19
    DEVICE_SET_FAULTY = 20
    DEVICE_MEDIA_ERROR = 21
    DEVICE_UNPLUGGED = 22
    DEVICE_PLUGGED = 23
    DEVICE_REPLACE = 24
    SYSTEM_FABRIC_PROVIDER_CHANGED = 25
    ENGINE_JOIN_FAILED = 26
    DEVICE_LINK_SPEED_CHANGED = 27
    DEVICE_LINK_WIDTH_CHANGED = 28
    DEVICE_LED_SET = 29


class RasType(IntEnum):
    """Whether the system has to act on it."""

    ANY = 0
    STATE_CHANGE = 1
    INFO = 2


class Severity(IntEnum):
    UNKNOWN = 0
    ERROR = 1
    WARNING = 2
    NOTICE = 3


@dataclass(frozen=True, slots=True)
class EngineState:
    """With engine events: which engine of its host, and why it ended ("" where it did not)."""

    instance: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class PoolReplicas:
    """With POOL_REPLICAS_UPDATED: the ranks of the pool's service, as its leader of `term` knows them."""

    ranks: tuple[int, ...]
    term: int


@dataclass(frozen=True, slots=True)
class RasEvent:
    """One event. `id`, `type` and `severity` are plain numbers where they are none that we know.

    `timestamp` is a text (see `format_timestamp`), `rank` NIL_RANK where the event is of no engine, and `detail`
    what the kind of event adds.
    """

    id: int
    type: int
    severity: int
    message: str
    timestamp: str
    hostname: str = ""
    rank: int = NIL_RANK
    incarnation: int = 0
    hardware_id: str = ""
    process_id: int = 0
    thread_id: int = 0
    job_id: str = ""
    pool_uuid: str = ""
    container_uuid: str = ""
    object_id: str = ""
    control_operation: str = ""
    detail: str | EngineState | PoolReplicas | None = None

    @property
    def name(self) -> str:
        """The event's name in logs, as "engine_died"."""
        try:
            known = RasId(self.id)
        except ValueError:
            return "unknown_unknown"
        return "unknown_ras_event" if known is RasId.UNKNOWN else known.name.lower()

    @property
    def is_state_change(self) -> bool:
        """Whether the leader must hear of it: a server that is not the leader forwards these, and only these."""
        return self.type == RasType.STATE_CHANGE

    def __str__(self) -> str:
        """The one line of the log, in the fields that DAOS writes."""
        type_name = "STATE_CHANGE" if self.is_state_change else "INFO"
        severity = Severity(self.severity).name if self.severity in (1, 2) else Severity.NOTICE.name
        fields = (
            ("id", self.name),
            ("ts", self.timestamp),
            ("host", self.hostname),
            ("type", type_name),
            ("sev", severity),
            ("msg", self.message),
            ("pid", self.process_id or ""),
            ("tid", self.thread_id or ""),
            ("hwid", self.hardware_id),
            ("rank", "" if self.rank == NIL_RANK else self.rank),
            ("incarnation", self.incarnation or ""),
            ("jobid", self.job_id),
            ("pool", self.pool_uuid),
            ("container", self.container_uuid),
            ("objid", self.object_id),
            ("ctlop", self.control_operation),
            ("data", self.detail if isinstance(self.detail, str) else ""),
        )
        parts = [f"{name}: [{value}]" for name, value in fields if value != ""]
        return " ".join(parts)


def format_timestamp(time: datetime) -> str:
    """ "2026-11-23T03:42:11.949935+0000", of an aware time, as engines write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f%z")


def engine_format_required(hostname: str, instance: int, what: str, *, now: datetime) -> RasEvent:
    """Engine `instance` of the host waits for a format of its `what` ("SCM", "Metadata")."""
    return RasEvent(
        id=RasId.ENGINE_FORMAT_REQUIRED,
        type=RasType.INFO,
        severity=Severity.NOTICE,
        message=f"DAOS engine {instance} requires a {what} format",
        timestamp=format_timestamp(now),
        hostname=hostname,
        detail=EngineState(instance),
    )


def engine_died(
    hostname: str, instance: int, rank: int, incarnation: int, error: str, process_id: int, *, now: datetime
) -> RasEvent:
    """The engine's process ended although nobody stopped it; `error` is how, `process_id` its own."""
    return RasEvent(
        id=RasId.ENGINE_DIED,
        type=RasType.STATE_CHANGE,
        severity=Severity.ERROR,
        message=f"DAOS engine {instance} exited unexpectedly: {error}",
        timestamp=format_timestamp(now),
        hostname=hostname,
        rank=rank,
        incarnation=incarnation,
        process_id=process_id,
        detail=EngineState(instance, error),
    )


def engine_join_failed(
    hostname: str, instance: int, rank: int, incarnation: int, reason: str, *, now: datetime
) -> RasEvent:
    """The engine was refused membership for `reason`; a person has to look at it."""
    return RasEvent(
        id=RasId.ENGINE_JOIN_FAILED,
        type=RasType.INFO,
        severity=Severity.ERROR,
        message=f"DAOS engine {instance} (rank {rank}) was not allowed to join the system",
        timestamp=format_timestamp(now),
        hostname=hostname,
        rank=rank,
        incarnation=incarnation,
        detail=reason,
    )


def fabric_provider_changed(old: str, new: str, *, hostname: str, now: datetime) -> RasEvent:
    return _system_event(
        RasId.SYSTEM_FABRIC_PROVIDER_CHANGED,
        Severity.NOTICE,
        f"system fabric provider has changed: {old} -> {new}",
        hostname,
        now,
    )


def system_stop_failed(action: str, errors: str, *, hostname: str, now: datetime) -> RasEvent:
    """`action` is "prep shutdown" or "stop", `errors` as `results.failures` says."""
    message = f'System shutdown failed during "{action}" action, {errors}'
    return _system_event(RasId.SYSTEM_STOP_FAILED, Severity.ERROR, message, hostname, now)


def system_start_failed(errors: str, *, hostname: str, now: datetime) -> RasEvent:
    return _system_event(
        RasId.SYSTEM_START_FAILED, Severity.ERROR, f"System startup failed, {errors}", hostname, now
    )


def _system_event(id_: RasId, severity: Severity, message: str, hostname: str, now: datetime) -> RasEvent:
    return RasEvent(
        id=id_,
        type=RasType.INFO,
        severity=severity,
        message=message,
        timestamp=format_timestamp(now),
        hostname=hostname,
        detail="",
    )
