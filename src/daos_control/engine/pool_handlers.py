"""Pool methods of dRPC: messages in, messages out. What they mean is in `pool_service` and `pool_create`."""

from collections.abc import Callable

from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.engine import pool_acl
from daos_control.engine.peers import Peers
from daos_control.engine.pool_create import CreateRequest, PoolCreator
from daos_control.engine.pool_record import (
    LAYOUT_VERSION,
    PoolRecord,
    given_properties,
    property_messages,
    ranks_text,
)
from daos_control.engine.pool_router import PoolRouter
from daos_control.engine.pool_service import PoolService, PoolSpace, Space
from daos_control.engine.storage import is_uuid
from daos_control.faults.core import DaosError
from daos_control.faults.status import Status
from daos_control.proto.mgmt import acl_pb2, pool_pb2, svc_pb2

_TIERS = 2

# Bits of a query's mask.
_SPACE = 0x01
_ENABLED_RANKS = 0x04
_DISABLED_RANKS = 0x08
_DEAD_RANKS = 0x10

_Rebuild = pool_pb2.PoolRebuildStatus


class PoolHandlers:
    """`create` and `destroy` are served by the engine that is called, the rest where the pool's service is."""

    def __init__(self, peers: Peers, service: PoolService, creator: PoolCreator) -> None:
        self._peers = peers
        self._service = service
        self._creator = creator

    def register(self, router: PoolRouter) -> None:
        router.handle(Method.POOL_QUERY, self.query)
        router.handle(Method.POOL_QUERY_TARGETS, self.query_targets)
        router.handle(Method.POOL_GET_PROP, self.get_properties)
        router.handle(Method.POOL_SET_PROP, self.set_properties)
        router.handle(Method.POOL_EVICT, self.evict)
        router.handle(Method.POOL_GET_ACL, self.get_acl)
        router.handle(Method.POOL_OVERWRITE_ACL, self.overwrite_acl)
        router.handle(Method.POOL_UPDATE_ACL, self.update_acl)
        router.handle(Method.POOL_DELETE_ACL, self.delete_acl)
        router.handle(Method.LIST_CONTAINERS, self.list_containers)
        router.handle(Method.POOL_EXCLUDE, self.exclude)
        router.handle(Method.POOL_DRAIN, self.drain)
        router.handle(Method.POOL_REINTEGRATE, self.reintegrate)
        router.handle(Method.POOL_UPGRADE, self.upgrade)

    async def create(self, request: pool_pb2.PoolCreateReq) -> pool_pb2.PoolCreateResp:
        uuid = request.uuid.lower()
        if not is_uuid(uuid):
            raise DaosError(Status.INVAL, f"{request.uuid!r} is no pool uuid")
        if len(request.tier_bytes) != _TIERS:
            raise DaosError(Status.INVAL, f"a pool has sizes of {_TIERS} tiers, not of {len(request.tier_bytes)}")
        first, second = request.tier_bytes
        pool_acl.checked(request.acl)
        created = await self._creator.create(
            CreateRequest(
                uuid=uuid,
                ranks=tuple(request.ranks),
                # With metadata on SSD the first tier is on the device, and only a share of it is kept in memory.
                scm_bytes=int(first * request.mem_ratio) if request.mem_ratio else first,
                nvme_bytes=second,
                meta_bytes=first,
                fault_domains=tuple(request.fault_domains),
                replicas=request.num_svc_reps,
                owner=request.user,
                group=request.user_group,
                acl=tuple(request.acl),
                properties=given_properties(request.properties, at_create=True),
            )
        )
        return pool_pb2.PoolCreateResp(
            svc_ldr=created.leader,
            svc_reps=created.service_ranks,
            tgt_ranks=created.ranks,
            tier_bytes=created.tier_bytes,
            mem_file_bytes=created.file_bytes,
            md_on_ssd_active=self._service.md_on_ssd,
        )

    async def destroy(self, request: pool_pb2.PoolDestroyReq) -> pool_pb2.PoolDestroyResp:
        uuid = request.id.lower()
        if not is_uuid(uuid):
            raise DaosError(Status.INVAL, f"{request.id!r} is no pool uuid")
        await self._creator.destroy(uuid, tuple(request.svc_ranks))
        return pool_pb2.PoolDestroyResp()

    async def query(self, request: pool_pb2.PoolQueryReq) -> pool_pb2.PoolQueryResp:
        record = await self._service.read(request.id.lower())
        mask = request.query_mask
        space: PoolSpace | None = None
        if mask & _SPACE:
            space = await self._service.space(record)
        reply = pool_pb2.PoolQueryResp(
            uuid=request.id,
            total_targets=record.map.target_count,
            active_targets=space.targets if space else record.map.target_count - record.map.disabled_count,
            disabled_targets=record.map.disabled_count,
            rebuild=_Rebuild(state=_Rebuild.IDLE if record.map.version == 1 else _Rebuild.DONE),
            tier_stats=_tier_stats(space),
            version=record.map.version,
            total_engines=len(record.map.ranks),
            pool_layout_ver=LAYOUT_VERSION,
            upgrade_layout_ver=LAYOUT_VERSION,
            svc_ldr=self._peers.me,
            svc_reps=record.service_ranks,
            query_mask=mask,
            mem_file_bytes=space.file_bytes if space else 0,
            md_on_ssd_active=self._service.md_on_ssd,
        )
        if mask & _ENABLED_RANKS:
            reply.enabled_ranks = ranks_text(record.map.enabled_ranks)
        if mask & _DISABLED_RANKS:
            reply.disabled_ranks = ranks_text(record.map.disabled_ranks)
        if mask & _DEAD_RANKS:
            enabled = record.map.enabled_ranks
            reply.dead_ranks = ranks_text(rank for rank in enabled if self._peers.is_dead(rank))
        return reply

    async def query_targets(self, request: pool_pb2.PoolQueryTargetReq) -> pool_pb2.PoolQueryTargetResp:
        found = await self._service.targets(request.id.lower(), request.rank, list(request.targets))
        reply = pool_pb2.PoolQueryTargetResp()
        for state, usage in found:
            info = reply.infos.add(state=int(state), md_on_ssd_active=self._service.md_on_ssd)
            info.mem_file_bytes = usage.file_bytes if usage else 0
            scm = (usage.scm_total, usage.scm_free) if usage else (0, 0)
            nvme = (usage.nvme_total, usage.nvme_free) if usage else (0, 0)
            info.space.add(total=scm[0], free=scm[1], media_type=pool_pb2.SCM)
            info.space.add(total=nvme[0], free=nvme[1], media_type=pool_pb2.NVME)
        return reply

    async def get_properties(self, request: pool_pb2.PoolGetPropReq) -> pool_pb2.PoolGetPropResp:
        record = await self._service.read(request.id.lower())
        numbers = [item.number for item in request.properties]
        return pool_pb2.PoolGetPropResp(properties=property_messages(record, numbers))

    async def set_properties(self, request: pool_pb2.PoolSetPropReq) -> pool_pb2.PoolSetPropResp:
        await self._service.set_properties(request.id.lower(), given_properties(request.properties))
        return pool_pb2.PoolSetPropResp()

    async def evict(self, request: pool_pb2.PoolEvictReq) -> pool_pb2.PoolEvictResp:
        """No client ever holds a handle here, so there is none to evict; but the pool must be there."""
        if any(not is_uuid(handle.lower()) for handle in request.handles):
            raise DaosError(Status.INVAL, "a pool handle is a uuid")
        await self._service.read(request.id.lower())
        return pool_pb2.PoolEvictResp()

    async def get_acl(self, request: acl_pb2.GetACLReq) -> acl_pb2.ACLResp:
        return _acl_reply(await self._service.read(request.id.lower()))

    async def overwrite_acl(self, request: acl_pb2.ModifyACLReq) -> acl_pb2.ACLResp:
        return await self._change_acl(request.id, lambda _old: pool_acl.checked(request.entries))

    async def update_acl(self, request: acl_pb2.ModifyACLReq) -> acl_pb2.ACLResp:
        return await self._change_acl(request.id, lambda old: pool_acl.merged(old, request.entries))

    async def delete_acl(self, request: acl_pb2.DeleteACLReq) -> acl_pb2.ACLResp:
        return await self._change_acl(request.id, lambda old: pool_acl.without(old, request.principal))

    async def _change_acl(self, uuid: str, decide: Callable[[tuple[str, ...]], tuple[str, ...]]) -> acl_pb2.ACLResp:
        return _acl_reply(await self._service.change_acl(uuid.lower(), decide))

    async def list_containers(self, request: pool_pb2.ListContReq) -> pool_pb2.ListContResp:
        reply = pool_pb2.ListContResp()
        for uuid in await self._service.containers(request.id.lower()):
            reply.containers.add(uuid=uuid)
        return reply

    async def exclude(self, request: pool_pb2.PoolExcludeReq) -> pool_pb2.PoolExcludeResp:
        await self._service.exclude(request.id.lower(), request.rank, list(request.target_idx))
        return pool_pb2.PoolExcludeResp()

    async def drain(self, request: pool_pb2.PoolDrainReq) -> pool_pb2.PoolDrainResp:
        """There is no data to move away first: the same as an exclusion."""
        await self._service.exclude(request.id.lower(), request.rank, list(request.target_idx))
        return pool_pb2.PoolDrainResp()

    async def reintegrate(self, request: pool_pb2.PoolReintReq) -> pool_pb2.PoolReintResp:
        await self._service.reintegrate(request.id.lower(), request.rank, list(request.target_idx))
        return pool_pb2.PoolReintResp()

    async def upgrade(self, request: pool_pb2.PoolUpgradeReq) -> Message:
        """Every pool has the one layout there is."""
        await self._service.read(request.id.lower())
        return svc_pb2.DaosResp()


def _tier_stats(space: PoolSpace | None) -> list[pool_pb2.StorageUsageStats]:
    tiers = (
        (pool_pb2.SCM, space.scm if space else Space()),
        (pool_pb2.NVME, space.nvme if space else Space()),
    )
    return [
        pool_pb2.StorageUsageStats(
            total=tier.total, free=tier.free, min=tier.minimum, max=tier.maximum, mean=tier.mean, media_type=media
        )
        for media, tier in tiers
    ]


def _acl_reply(record: PoolRecord) -> acl_pb2.ACLResp:
    found = acl_pb2.AccessControlList(entries=record.acl, owner_user=record.owner, owner_group=record.group)
    return acl_pb2.ACLResp(acl=found)
