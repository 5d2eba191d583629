"""Creating a pool: of a share of the storage, of a total size, or of sizes per engine."""

import getpass
import grp
import os
import uuid as uuids
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from daos_control.client import ms, pool, retry, storage, system
from daos_control.client.connection import Client, mgmt
from daos_control.client.errors import operation
from daos_control.client.pool_types import CreatedPool, PropertyValue
from daos_control.client.storage import StorageResponse
from daos_control.client.storage_types import DeviceState, HostStorage, Role, ScmMountPoint
from daos_control.faults import ControlError, DaosError
from daos_control.proto.mgmt import pool_pb2
from daos_control.system.ranks import RankSet
from daos_control.system.state import MemberState

POOL_CREATE = mgmt("PoolCreate", pool_pb2.PoolCreateReq, pool_pb2.PoolCreateResp)
CREATE_TIMEOUT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Share:
    """`fraction` (0..1] of what is free on the smallest of the ranks, on each of them."""

    fraction: float


@dataclass(frozen=True, slots=True)
class Total:
    """`size` bytes over all ranks, divided between the tiers by `ratios` (which add up to 1)."""

    size: int
    ratios: tuple[float, float] = (0.06, 0.94)


@dataclass(frozen=True, slots=True)
class PerEngine:
    """Bytes of each tier on every rank."""

    tiers: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What to create. Without an owner it is the user who runs this; `ranks` and `count` exclude each other.

    `mem_ratio` is the share of metadata kept in memory (0: not said). `service_replicas` 0 lets the engines decide.
    """

    size: Share | Total | PerEngine
    properties: tuple[PropertyValue, ...] = ()
    user: str = ""
    group: str = ""
    acl: tuple[str, ...] = ()
    ranks: RankSet = field(default_factory=RankSet)
    count: int = 0
    service_replicas: int = 0
    mem_ratio: float = 0.0


async def create(client: Client, request: CreateRequest) -> CreatedPool:
    """Create the pool. Its uuid is chosen here, so that a repeated try finds what an earlier one has made."""
    with operation("failed to generate PoolCreate request"):
        message = await _message(client, request)
    reply = await _invoke(client, message)
    return CreatedPool(
        uuid=message.uuid,
        svc_ldr=reply.svc_ldr,
        svc_reps=tuple(reply.svc_reps),
        tgt_ranks=tuple(reply.tgt_ranks),
        tier_bytes=tuple(reply.tier_bytes),
        mem_file_bytes=reply.mem_file_bytes,
        md_on_ssd_active=reply.md_on_ssd_active,
    )


async def _invoke(client: Client, message: pool_pb2.PoolCreateReq) -> pool_pb2.PoolCreateResp:
    with operation("pool create failed"):
        reply = await ms.invoke(client, POOL_CREATE, message, policy=retry.POOL, timeout=CREATE_TIMEOUT_SECONDS)
        if reply.status:
            raise DaosError(reply.status)
    return reply


async def _message(client: Client, request: CreateRequest) -> pool_pb2.PoolCreateReq:
    user, group = owners(request.user, request.group)
    message = pool_pb2.PoolCreateReq(
        uuid=str(uuids.uuid4()),
        sys=client.request_name,
        user=user,
        user_group=group,
        acl=request.acl,
        properties=pool.to_proto(request.properties),
        num_svc_reps=request.service_replicas,
        num_ranks=request.count,
        mem_ratio=request.mem_ratio,
    )
    match request.size:
        case PerEngine(tiers):
            if not tiers[0]:
                raise ControlError("can't create pool with 0 byte first tier")
            message.tier_bytes[:] = tiers
        case Total(size, ratios):
            if not ratios[0]:
                raise ControlError("can't create pool with 0.0 first tier ratio")
            message.total_bytes = size
            message.tier_ratio[:] = ratios
        case Share(fraction):
            request = await _with_joined_ranks(client, request)
            free = await storage.usage(client, mem_ratio=request.mem_ratio)
            largest = largest_pool(free, request.ranks, request.mem_ratio)
            # With metadata on SSDs the server is told how much of it is in memory: all, unless said otherwise.
            if free.has_roles and not request.mem_ratio:
                message.mem_ratio = 1.0
            message.tier_bytes[:] = [int(size * fraction) for size in largest]
            if not message.tier_bytes[0]:
                raise ControlError(
                    f"Not enough SCM storage available with ratio {int(fraction * 100)}%: "
                    "SCM storage capacity or ratio should be increased"
                )
    message.ranks[:] = request.ranks
    return message


async def _with_joined_ranks(client: Client, request: CreateRequest) -> CreateRequest:
    """The request with the ranks it is for: all that are joined, or those it names, which must be."""
    if not 0 <= request.mem_ratio <= 1:
        raise ControlError(f"mem-ratio must be from 0 to 1, not {request.mem_ratio}")
    with operation("getMaxPoolSize: SystemQuery"):
        members = (await system.query(client)).members
    joined = RankSet(m.rank for m in members if m.state is MemberState.JOINED)
    for rank in request.ranks:
        if rank not in joined:
            raise ControlError(f"specified rank {rank} is not joined")
    return replace(request, ranks=request.ranks or joined)


def largest_pool(found: StorageResponse, ranks: RankSet, mem_ratio: float) -> tuple[int, int]:
    """Bytes per rank and tier of the largest pool that fits on all of `ranks`."""
    if not found.groups:
        failures = "; ".join(f"{group.hosts}: {group.error}" for group in found.host_errors)
        raise ControlError(f"no server answered the storage scan ({failures})")
    scm: dict[int, int] = {}
    nvme: dict[int, int] = {}
    for group in found.groups:
        if not group.content.scm_bytes()[2]:
            raise ControlError(f"Host without SCM storage: hostname={group.hosts}")
        for rank, usable in _scm_of_ranks(group.content):
            if rank in ranks:
                if rank in scm:
                    raise ControlError(f"Multiple SCM devices found for rank {rank}")
                scm[rank] = usable
        for rank, usable in _nvme_of_ranks(group.content, ranks):
            if rank not in scm:
                raise ControlError(f"rank {rank} has NVMe devices, but its SCM was not found")
            nvme[rank] = nvme.get(rank, 0) + usable
    # Ranks on hosts that are not in the client's list are taken to have as much as the others. That cannot be
    # said of ranks on a host that was asked and failed.
    missing = ranks - RankSet(scm)
    if not scm or (missing and found.host_errors):
        failures = "; ".join(f"{group.hosts}: {group.error}" for group in found.host_errors)
        raise ControlError(
            f"no SCM storage was found for rank list {missing}" + (f" ({failures})" if failures else "")
        )
    smallest_scm = min(scm.values())
    smallest_nvme = min(nvme.get(rank, 0) for rank in scm)
    if found.has_roles:
        # What is scanned as SCM is the memory; the metadata on the SSDs may be larger than it.
        return int(smallest_scm / (mem_ratio or 1.0)), smallest_nvme
    return smallest_scm, smallest_nvme


def _scm_of_ranks(host: HostStorage) -> Iterable[tuple[int, int]]:
    for namespace in host.scm_namespaces:
        mount: ScmMountPoint | None = namespace.mount
        if mount is None:
            raise ControlError(f"SCM device {namespace.blockdev} ({namespace.uuid}) is not mounted")
        yield mount.rank, mount.usable_bytes


def _nvme_of_ranks(host: HostStorage, ranks: RankSet) -> Iterable[tuple[int, int]]:
    """Usable bytes of the devices that hold data; one that is new is not used yet."""
    for controller in host.nvme_devices:
        for device in controller.smd_devices:
            holds_data = device.role == Role.NONE or Role.DATA in device.role
            if not holds_data or controller.dev_state is DeviceState.NEW or device.rank not in ranks:
                continue
            if controller.dev_state is not DeviceState.NORMAL:
                raise ControlError(
                    f"SMD device {device.uuid} (rank {device.rank}, ctrlr {controller.pci_addr}) "
                    f"not usable as in {controller.dev_state} state"
                )
            yield device.rank, device.usable_bytes


def owners(user: str, group: str) -> tuple[str, str]:
    """User and group as principals ("name@"); where empty, those of this process."""
    user = user or getpass.getuser()
    group = group or grp.getgrgid(os.getgid()).gr_name
    return principal(user), principal(group)


def principal(name: str) -> str:
    return name if "@" in name else f"{name}@"


def read_acl(path: Path) -> tuple[str, ...]:
    """The entries of an ACL file: one a line, blank lines and comments (#) left out. ControlError for none."""
    try:
        lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise ControlError(f"opening ACL file: open {path}: {(e.strerror or str(e)).lower()}") from e
    except UnicodeDecodeError as e:
        raise ControlError(f"opening ACL file: {path} is not a text file") from e
    entries = tuple(line for line in (raw.strip() for raw in lines) if line and not line.startswith("#"))
    if not entries:
        raise ControlError(f"ACL file '{path}' contains no entries")
    return entries
