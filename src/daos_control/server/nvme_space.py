"""How much of the engines' block devices pools can use, metadata taken off (storage.md 10)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from daos_control.proto.ctl import smd_pb2
from daos_control.storage.api import Role

# The number of the engine's own, which takes no share of the data.
SYSTEM_TARGET = 1024


@dataclass(slots=True)
class _Share:
    """A device that holds data: the clusters that each of its targets can have."""

    device: smd_pb2.SmdDevice
    targets: int
    clusters_per_target: int


def set_usable(controllers: Iterable[smd_pb2.NvmeController]) -> None:
    """Set `usable_bytes` of each device, and round `avail_bytes` down to whole clusters.

    A pool takes as much of each target of a rank as the poorest of them has. Devices without the role of data, in
    another state than normal, or of unknown size have nothing to give.
    """
    ranks: dict[int, list[_Share]] = defaultdict(list)
    for controller in controllers:
        for device in controller.smd_devices:
            share = _share(controller, device)
            device.usable_bytes = 0
            if share is not None:
                ranks[device.rank].append(share)
    for shares in ranks.values():
        least = min(share.clusters_per_target for share in shares)
        for share in shares:
            share.device.usable_bytes = least * share.targets * share.device.cluster_size


def _share(controller: smd_pb2.NvmeController, device: smd_pb2.SmdDevice) -> _Share | None:
    roles = Role(device.role_bits)
    if roles and not roles & Role.DATA:
        return None
    targets = len(set(device.tgt_ids) - {SYSTEM_TARGET})
    if controller.dev_state != smd_pb2.NORMAL or device.cluster_size == 0 or targets == 0:
        device.avail_bytes = 0
        return None
    device.avail_bytes -= device.avail_bytes % device.cluster_size
    clusters = device.avail_bytes // device.cluster_size
    taken = _metadata_clusters(device, roles, targets)
    if taken and taken >= clusters:
        return None
    return _Share(device, targets, (clusters - taken) // targets)


def _metadata_clusters(device: smd_pb2.SmdDevice, roles: Role, targets: int) -> int:
    taken = 0
    if roles & Role.META:
        taken += targets * _clusters(device.meta_size, device) + _clusters(device.rdb_size, device)
    if roles & Role.WAL:
        taken += targets * _clusters(device.meta_wal_size, device)
        if device.rdb_size:
            taken += _clusters(device.rdb_wal_size, device)
    return taken


def _clusters(size: int, device: smd_pb2.SmdDevice) -> int:
    return -(-size // device.cluster_size)
