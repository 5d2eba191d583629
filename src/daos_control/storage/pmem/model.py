"""The terms of persistent memory: module, region, namespace, and the state of a host's memory."""

from dataclasses import dataclass
from enum import Enum, IntEnum


class State(IntEnum):
    """State of the persistent memory of one socket, or of all; the numbers are on the wire."""

    UNKNOWN = 0
    NO_REGIONS = 1
    FREE_CAPACITY = 2
    NO_FREE_CAPACITY = 3
    NOT_INTERLEAVED = 4
    NO_MODULES = 5
    NOT_HEALTHY = 6
    PARTIAL_FREE = 7
    UNKNOWN_MODE = 8

    @property
    def label(self) -> str:
        """ "NoRegions", "FreeCapacity", ... as DAOS writes them."""
        return _LABELS.get(self) or "".join(part.capitalize() for part in self.name.split("_"))


_LABELS = {State.PARTIAL_FREE: "PartialFreeCapacity"}


class RegionKind(Enum):
    """How a region's memory is used, as ipmctl spells it."""

    APP_DIRECT = "AppDirect"
    NOT_INTERLEAVED = "AppDirectNotInterleaved"
    VOLATILE = "Volatile"
    UNKNOWN = "Unknown"


class Health(Enum):
    """Health of a region, as ipmctl spells it."""

    HEALTHY = "Healthy"
    ERROR = "Error"
    PENDING = "Pending"
    LOCKED = "Locked"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Module:
    """A persistent memory module; `capacity` is in bytes. The fields stand as in DAOS's JSON."""

    channel_id: int = 0
    channel_position: int = 0
    controller_id: int = 0
    socket_id: int = 0
    physical_id: int = 0
    capacity: int = 0
    uid: str = ""
    part_number: str = ""
    firmware_revision: str = ""
    health_state: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """A region as the platform sees it; bytes. `iset_id` identifies its interleave set, 0 where that is unknown."""

    socket_id: int
    kind: RegionKind
    capacity: int
    free: int
    health: Health = Health.HEALTHY
    iset_id: int = 0


@dataclass(frozen=True, slots=True)
class KernelRegion:
    """A region as the kernel sees it, where namespaces are made.

    Bytes; `unit` is what the size of a namespace must be a multiple of. `labels` says whether its modules have a
    label area, without which the kernel makes one namespace of all of it.
    """

    name: str
    size: int
    available: int
    unit: int
    numa_node: int = 0
    iset_id: int = 0
    modules: tuple[str, ...] = ()
    labels: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace: `name` as "namespace0.0", `block_device` as "pmem0" (empty where it has none), bytes.

    `mode` is "fsdax", "devdax", "sector" or "raw".
    """

    name: str
    block_device: str
    uuid: str
    numa_node: int
    size: int
    mode: str = "fsdax"
    enabled: bool = True

    @property
    def region(self) -> str:
        """The kernel region that it is of: "region0" for "namespace0.1"."""
        return "region" + self.name.removeprefix("namespace").partition(".")[0]

    @property
    def unlabelled(self) -> bool:
        """Whether it is there only because the kernel found no labels: nobody made it."""
        return self.mode == "raw" and not self.uuid


@dataclass(frozen=True, slots=True)
class Survey:
    """All that a decision is made from. With `goals`, regions are made by memory allocation goals, which take
    effect at a reboot; without, the regions are as the platform made them."""

    goals: bool
    regions: tuple[Region, ...] = ()
    kernel_regions: tuple[KernelRegion, ...] = ()
    namespaces: tuple[Namespace, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """What is on a namespace, and who uses it. `foreign` says in words what there is that is not DAOS's."""

    namespace: str
    mounted_at: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class SocketState:
    """The state, and the socket that it is about; None for all."""

    socket_id: int | None
    state: State
