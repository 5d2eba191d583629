"""What the engine tells about its block devices: the answers to SmdListDevs, SmdListPools,
BioHealthQuery and LedManage."""

import time

from daos_control.engine.bdev_extents import CLUSTER_BYTES
from daos_control.engine.bdevs import Bdev
from daos_control.engine.shards import Piece, ShardStore
from daos_control.engine.storage import Storage
from daos_control.faults.status import Status
from daos_control.proto.ctl import smd_pb2


class Devices:
    """Views of the storage as DAOS's blob store shows them. Files have no health of their own: counters are 0."""

    def __init__(self, storage: Storage, shards: ShardStore, targets: int) -> None:
        self._storage = storage
        self._shards = shards
        self._targets = targets

    def _targets_of(self, device: Bdev) -> list[int]:
        """Targets that keep something on the device, taking turns within its role."""
        found: set[int] = set()
        for devices in (self._storage.data_devices(), self._storage.meta_devices()):
            found |= {n for n in range(self._targets) if devices and devices[n % len(devices)] is device}
        return sorted(found)

    def list_devices(self, rank: int) -> smd_pb2.SmdDevResp:
        reply = smd_pb2.SmdDevResp()
        for device in self._storage.devices:
            available = device.extents.free_clusters * CLUSTER_BYTES
            found = reply.devices.add(
                uuid=device.uuid,
                tgt_ids=self._targets_of(device),
                total_bytes=device.extents.clusters * CLUSTER_BYTES,
                avail_bytes=available,
                usable_bytes=available if device.config.holds_data else 0,
                cluster_size=CLUSTER_BYTES,
                rank=rank,
                role_bits=int(device.config.role),
            )
            found.ctrlr.pci_addr = str(device.config.path)
            found.ctrlr.dev_state = smd_pb2.NORMAL
        return reply

    def list_pools(self) -> smd_pb2.SmdPoolResp:
        """Pools with extents on block devices; a blob number is the first cluster of a target's extents."""
        reply = smd_pb2.SmdPoolResp()
        for shard in self._shards.all():
            if shard.data:
                blobs = [_first_cluster(piece) for piece in shard.data]
                reply.pools.add(uuid=shard.spec.uuid, tgt_ids=range(shard.targets), blobs=blobs)
        return reply

    def manage_led(self, name: str) -> smd_pb2.DevManageResp:
        """NOSYS for a device of this engine, by its path or uuid: files and the kernel's block devices have no LED
        that could be shown or set. NONEXIST for a device that is not here, INVAL where none is named."""
        for device in self._storage.devices:
            path = str(device.config.path)
            if name in (device.uuid, path):
                controller = smd_pb2.NvmeController(pci_addr=path, led_state=smd_pb2.NA)
                found = smd_pb2.SmdDevice(uuid=device.uuid, ctrlr=controller)
                return smd_pb2.DevManageResp(status=int(Status.NOSYS), device=found)
        return smd_pb2.DevManageResp(status=int(Status.NONEXIST if name else Status.INVAL))

    def health(self, uuid: str) -> smd_pb2.BioHealthResp:
        """Sizes of a device; of the first one where `uuid` is empty. NONEXIST for a device that is not here."""
        for device in self._storage.devices:
            if uuid in ("", device.uuid):
                return smd_pb2.BioHealthResp(
                    timestamp=int(time.time()),
                    dev_uuid=device.uuid,
                    total_bytes=device.extents.clusters * CLUSTER_BYTES,
                    avail_bytes=device.extents.free_clusters * CLUSTER_BYTES,
                    cluster_size=CLUSTER_BYTES,
                )
        return smd_pb2.BioHealthResp(status=int(Status.NONEXIST), dev_uuid=uuid)


def _first_cluster(piece: Piece) -> int:
    return piece.extents[0].start
