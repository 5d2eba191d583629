"""The numbers that stand for equal hosts in JSON are those of DAOS 2.8, whose code computed those here."""

from dataclasses import replace

from daos_control.client.fabric_key import fabric_key
from daos_control.client.network import FabricInterface
from daos_control.client.storage_key import storage_key
from daos_control.client.storage_types import (
    DeviceState,
    HostStorage,
    LedState,
    MemoryInfo,
    NvmeController,
    NvmeHealth,
    NvmeNamespace,
    ScmModule,
    ScmMountPoint,
    ScmNamespace,
    SmdDevice,
    SystemMemoryInfo,
)

MEMORY = SystemMemoryInfo(
    hugepage_size_kb=2048, mem_total_kb=24684092, numa_nodes=(MemoryInfo(mem_total_kb=7825620),)
)
HEALTH = NvmeHealth(timestamp=7, temperature=300, temp_warn=True, wear_leveling_cnt_norm=9, link_max_speed=8e9)
DEVICE = SmdDevice(
    role_bits=3, uuid="u", tgt_ids=(0, 1), rank=5, total_bytes=1 << 40, has_sys_xs=True, ctrlr_namespace_id=1
)
CONTROLLER = NvmeController(
    model="m",
    serial="s",
    pci_addr="0000:81:00.0",
    socket_id=-1,
    health_stats=HEALTH,
    namespaces=(NvmeNamespace(1, 1 << 40), NvmeNamespace(2, 5)),
    smd_devices=(DEVICE,),
    dev_state=DeviceState.EVICTED,
    led_state=LedState.ON,
)
FULL = HostStorage(
    nvme_devices=(CONTROLLER, NvmeController(pci_addr="0000:82:00.0")),
    scm_modules=(ScmModule(1, 2, 3, 4, 5, 1 << 39, "uid", "part", "fw", "ok"),),
    scm_namespaces=(
        ScmNamespace(
            "uuid", "pmem0", "namespace0.0", 1, 3 << 40, ScmMountPoint("dcpm", ("/dev/pmem0",), "", "/mnt")
        ),
    ),
    scm_mount_points=(ScmMountPoint("ram", (), "CTL_SUCCESS", "/mnt/daos0"),),
    reboot_required=True,
    mem_info=MEMORY,
)
STORAGE_NUMBER = 4803169575689928685
FABRIC_NUMBER = 15871317522482016878


def test_storage_without_devices_has_the_number_that_was_observed() -> None:
    assert storage_key(HostStorage(mem_info=MEMORY)) == 14124805791532352740


def test_storage_with_everything_has_daos_s_number() -> None:
    assert storage_key(FULL) == STORAGE_NUMBER


def test_what_tells_equal_hosts_apart_does_not_count() -> None:
    other = replace(CONTROLLER, serial="another")
    changed = replace(
        FULL,
        nvme_devices=(FULL.nvme_devices[1], other),
        scm_namespaces=(replace(FULL.scm_namespaces[0], uuid="another"),),
        mem_info=replace(MEMORY, mem_free_kb=1, hugepages_free=3),
    )
    assert storage_key(changed) == storage_key(FULL)
    assert storage_key(replace(FULL, reboot_required=False)) != storage_key(FULL)


def test_a_fabric_has_the_number_that_was_observed() -> None:
    eth0 = FabricInterface("ofi+tcp", "eth0", 0, 0, 1)
    assert fabric_key([eth0]) == 14305709183502793240
    assert fabric_key([eth0], numa_count=1, cores_per_numa=2) == 323415581278096540


def test_the_order_of_interfaces_does_not_count_and_their_values_do() -> None:
    a, b = FabricInterface("ofi+tcp", "eth0", 0, 0, 1), FabricInterface("ofi+verbs;ofi_rxm", "ib0", 1, 2, 32)
    assert fabric_key([a, b]) == fabric_key([b, a]) == FABRIC_NUMBER
    assert fabric_key([a]) != fabric_key([b])
