"""Results of storage operations as messages."""

from typing import Final

from daos_control.faults import Fault
from daos_control.proto.ctl import common_pb2, storage_nvme_pb2, storage_pb2
from daos_control.storage.api import Role
from daos_control.storage.memory import MemorySnapshot

NO_ADDRESS: Final = "<nil>"  # what DAOS's clients know as "no device in particular"


def response_state(
    error: Exception | None, status: "common_pb2.ResponseStatus.ValueType", info: str = ""
) -> common_pb2.ResponseState:
    """The state of one result; where a Fault has a resolution, that is the info, in the form of DAOS."""
    if error is None:
        return common_pb2.ResponseState(info=info)
    if isinstance(error, Fault) and error.resolution:
        info = f'{error.domain or "unknown"}: code = {error.code} resolution = "{error.resolution}"'
    return common_pb2.ResponseState(status=status, error=str(error), info=info)


def device_result(
    device: str, error: Exception | None = None, roles: Role = Role.NONE, *, info: str = ""
) -> storage_nvme_pb2.NvmeControllerResult:
    """The result for one device; NO_ADDRESS where it is about no device in particular."""
    return storage_nvme_pb2.NvmeControllerResult(
        pci_addr=device, role_bits=int(roles), state=response_state(error, common_pb2.CTL_ERR_NVME, info)
    )


def memory_message(now: MemorySnapshot) -> storage_pb2.SysMemInfo:
    """The memory of this host for a scan."""
    return storage_pb2.SysMemInfo(
        hugepages_total=now.huge_total,
        hugepages_free=now.huge_free,
        hugepages_reserved=now.huge_reserved,
        hugepages_surplus=now.huge_surplus,
        hugepage_size_kb=now.huge_page_kib,
        mem_total_kb=now.total_kib,
        mem_free_kb=now.free_kib,
        mem_available_kb=now.available_kib,
        numa_nodes=[
            storage_pb2.MemInfo(
                numa_node_index=node.node,
                hugepages_total=node.huge_total,
                hugepages_free=node.huge_free,
                hugepages_surplus=node.huge_surplus,
                mem_total_kb=node.total_kib,
                mem_free_kb=node.free_kib,
                mem_used_kb=node.used_kib,
            )
            for node in now.nodes
        ],
    )
