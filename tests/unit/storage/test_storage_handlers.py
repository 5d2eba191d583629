"""StorageScan and StorageFormat against engines and storage that behave, without touching any."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from google.protobuf.message import Message

from daos_control.config.models import ServerConfig
from daos_control.drpc import Method
from daos_control.faults import Code, ControlError, Fault
from daos_control.faults import storage as faults
from daos_control.proto.ctl import common_pb2, smd_pb2, storage_nvme_pb2, storage_pb2, storage_scm_pb2
from daos_control.server import superblock
from daos_control.server.ctl_storage import StorageHandlers
from daos_control.server.instance import Instance, Stop
from daos_control.server.storage_host import FormatHost
from daos_control.server.storage_settings import StorageSettings
from daos_control.server.superblock import Superblock
from daos_control.storage.api import (
    BdevResult,
    BdevTier,
    Class,
    EngineStorage,
    EngineStorageOps,
    Role,
    ScmState,
    ScmTier,
    ScmUsage,
)
from daos_control.storage.memory import MemorySnapshot, NodeMemory

GIB = 1 << 30
NIL = 0xFFFFFFFF
MEMORY = MemorySnapshot(
    total_kib=100 << 20, available_kib=90 << 20, huge_page_kib=2048, nodes=(NodeMemory(0, used_kib=5),)
)


def server_instance_is_a_host(instance: Instance) -> FormatHost:
    """For the type checker: what the handlers ask of an engine is what the server's engines have."""
    return instance


@dataclass
class Host:
    """An engine; `told` records the notifications that its storage is ready."""

    storage: EngineStorage
    is_started: bool = False
    is_ready: bool = False
    rank: int | None = None
    told: list[bool] = field(default_factory=list)
    killed: bool = False
    devices: list[smd_pb2.SmdDevice] = field(default_factory=list)
    status: int = 0

    @property
    def index(self) -> int:
        return self.storage.index

    async def stop(self, how: Stop) -> None:
        self.killed, self.is_started, self.is_ready = True, False, False

    def notify_storage_ready(self, replace: bool = False) -> None:
        self.told.append(replace)

    async def wait_until(self, condition: Callable[[FormatHost], bool]) -> None:
        if not condition(self):
            await asyncio.Event().wait()

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        if method is Method.SMD_LIST_DEVS:
            return smd_pb2.SmdDevResp(status=self.status, devices=self.devices)
        assert isinstance(request, smd_pb2.BioHealthReq)
        return smd_pb2.BioHealthResp(
            total_bytes=10 * GIB, avail_bytes=9 * GIB + 1, cluster_size=GIB, meta_wal_size=GIB, rdb_wal_size=GIB
        )


@dataclass
class Ops:
    """Storage by state; records what was done."""

    states: dict[int, ScmState | Fault] = field(default_factory=dict)
    usage: ScmUsage | None = None
    metadata_missing: bool = False
    fails: dict[str, Fault] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def _do(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]
        self.done.append(what)

    async def scm_state(self, storage: EngineStorage) -> ScmState:
        state = self.states.get(storage.index, ScmState.UNFORMATTED)
        if isinstance(state, Fault):
            raise state
        return state

    async def mount_scm(self, storage: EngineStorage) -> None:
        self._do(f"mount {storage.index}")

    async def format_scm(self, storage: EngineStorage, *, force: bool) -> None:
        self._do(f"scm {storage.index}{' force' if force else ''}")
        self.states[storage.index] = ScmState.MOUNTED

    async def format_bdevs(self, storage: EngineStorage, *, force: bool) -> Sequence[BdevResult]:
        self._do(f"bdevs {storage.index}{' force' if force else ''}")
        return [
            BdevResult(device, tier.roles, self.fails.get(device))
            for tier in storage.bdevs
            for device in tier.devices
        ]

    async def write_nvme_config(self, storage: EngineStorage) -> None:
        self._do(f"config {storage.index}")

    async def check_nvme_config(self, storage: EngineStorage) -> None:
        self._do(f"check {storage.index}")

    async def metadata_needs_format(self, storage: EngineStorage) -> bool:
        return storage.metadata_path is not None and self.metadata_missing

    async def format_metadata(self, engines: Sequence[EngineStorage], *, force: bool = False) -> None:
        self._do(f"metadata{' force' if force else ''}")

    async def unmount_scm(self, storage: EngineStorage) -> None:
        self._do(f"unmount {storage.index}")

    async def clean_up(self, storage: EngineStorage) -> None:
        raise AssertionError("not of a format")

    def check_memory(self, storage: EngineStorage) -> None:
        raise AssertionError("not of a format")

    def scm_usage(self, storage: EngineStorage) -> ScmUsage | None:
        return self.usage


def tier(*devices: str, roles: Role = Role.NONE) -> BdevTier:
    return BdevTier(1, Class.FILE, devices, 1, roles)


def engine(index: int, area: Path, *tiers: BdevTier, **changes: object) -> Host:
    storage = EngineStorage(index, ScmTier(Class.RAM, area / f"daos{index}", size_gib=10), tiers)
    return Host(replace(storage, **changes))  # type: ignore[arg-type]


def handlers(
    hosts: Sequence[Host], ops: Ops, *, disable_hugepages: bool = False, memory: MemorySnapshot = MEMORY
) -> StorageHandlers:
    settings = StorageSettings(disable_hugepages, (4,) * len(hosts), ("",) * len(hosts))
    checked: EngineStorageOps = ops
    return StorageHandlers(hosts, checked, settings, read_memory=lambda: memory)


def request(*, reformat: bool = False, replace: bool = False) -> storage_pb2.StorageFormatReq:
    return storage_pb2.StorageFormatReq(reformat=reformat, replace=replace)


# Format


@pytest.mark.asyncio
async def test_a_host_without_engines_has_nothing_to_format() -> None:
    assert await handlers([], Ops()).storage_format(request()) == storage_pb2.StorageFormatResp()


@pytest.mark.asyncio
async def test_a_fresh_host_is_formatted_in_order_and_its_engines_are_told(tmp_path: Path) -> None:
    hosts = [engine(0, tmp_path, tier("/a")), engine(1, tmp_path, tier("/b", roles=Role.DATA))]
    ops = Ops()
    reply = await handlers(hosts, ops).storage_format(request(replace=True))

    assert ops.done == ["scm 0", "scm 1", "bdevs 0", "config 0", "bdevs 1", "config 1"]
    assert [host.told for host in hosts] == [[True], [True]]
    assert list(reply.mrets) == [
        storage_scm_pb2.ScmMountResult(
            mntpoint=str(tmp_path / f"daos{index}"), instanceidx=index, state=common_pb2.ResponseState()
        )
        for index in (0, 1)
    ]
    assert [(r.pci_addr, r.role_bits, r.state.status) for r in reply.crets] == [("/a", 0, 0), ("/b", 1, 0)]


@pytest.mark.asyncio
async def test_what_is_formatted_is_left_alone_and_said_to_be_so(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a"))
    host.is_started = True
    ops = Ops(states={0: ScmState.MOUNTED}, usage=ScmUsage(100, 50))
    reply = await handlers([host], ops).storage_format(request())
    assert ops.done == []
    assert host.told == []
    assert not host.killed
    assert reply.mrets[0].state == common_pb2.ResponseState(info="SCM is already formatted")
    assert reply.crets[0].pci_addr == "<nil>"
    assert reply.crets[0].state.info == "NVMe format skipped on instance 0, SCM was not formatted"


@pytest.mark.asyncio
async def test_an_empty_mounted_ram_disk_goes_on_with_its_block_devices(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a"))
    ops = Ops(states={0: ScmState.MOUNTED}, usage=ScmUsage(100, 100))
    await handlers([host], ops).storage_format(request())
    assert ops.done == ["bdevs 0", "config 0"]
    assert host.told == [False]


@pytest.mark.asyncio
async def test_an_engine_with_a_superblock_keeps_its_block_devices(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a"))
    host.storage.superblock_path.parent.mkdir()
    superblock.write(host.storage.superblock_path, Superblock.new("daos_server", "/h"))
    ops = Ops(states={0: ScmState.MOUNTED}, usage=ScmUsage(100, 100))
    await handlers([host], ops).storage_format(request())
    assert ops.done == ["config 0"]


@pytest.mark.asyncio
async def test_a_running_engine_is_refused_without_force_and_killed_with_it(tmp_path: Path) -> None:
    host = engine(0, tmp_path)
    host.is_started = True
    ops = Ops(states={0: ScmState.UNFORMATTED})
    reply = await handlers([host], ops).storage_format(request())
    assert reply.mrets[0].state.error == "instance 0: can't format storage of running instance"
    assert reply.mrets[0].state.status == common_pb2.CTL_ERR_SCM
    assert not host.killed
    assert host.told == []

    released = []

    async def release() -> None:
        released.append(host.killed)

    settings = StorageSettings(False, (4,), ("",))
    forced = StorageHandlers([host], ops, settings, release=release, read_memory=lambda: MEMORY)
    await forced.storage_format(request(reformat=True))
    assert released == [False]
    assert host.killed
    assert ops.done == ["scm 0 force"]
    assert host.told == [False]


@pytest.mark.asyncio
async def test_one_engines_failure_does_not_keep_the_other_from_being_formatted(tmp_path: Path) -> None:
    hosts = [engine(0, tmp_path, tier("/a")), engine(1, tmp_path, tier("/b"))]
    fault = faults.already_formatted("/dev/pmem0")
    ops = Ops(fails={"scm 0": fault})
    reply = await handlers(hosts, ops).storage_format(request())
    assert [host.told for host in hosts] == [[], [False]]
    assert reply.mrets[0].state == common_pb2.ResponseState(
        status=common_pb2.CTL_ERR_SCM,
        error='scm: code = 101 description = "/dev/pmem0 is already formatted"',
        info=f'scm: code = 101 resolution = "{fault.resolution}"',
    )
    assert reply.crets[0].state.info == "NVMe format skipped on instance 0, SCM format failed"
    assert ops.done == ["scm 1", "bdevs 1", "config 1"]


@pytest.mark.asyncio
async def test_a_device_that_fails_keeps_its_engine_from_starting(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a", "/b"))
    ops = Ops(fails={"/b": faults.format_failed("/b", "full")})
    reply = await handlers([host], ops).storage_format(request())
    assert "config 0" not in ops.done
    assert host.told == []
    assert [(r.pci_addr, r.state.status) for r in reply.crets] == [("/a", 0), ("/b", common_pb2.CTL_ERR_NVME)]


@pytest.mark.asyncio
async def test_a_configuration_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a"))
    ops = Ops(fails={"config 0": faults.path_access_denied("/x", "full")})
    reply = await handlers([host], ops).storage_format(request())
    assert [r.pci_addr for r in reply.crets] == ["/a", "<nil>"]
    assert reply.crets[1].state.status == common_pb2.CTL_ERR_NVME
    assert host.told == []


@pytest.mark.asyncio
async def test_replace_needs_something_to_format(tmp_path: Path) -> None:
    ops = Ops(states={0: ScmState.MOUNTED}, usage=ScmUsage(100, 50))
    with pytest.raises(ControlError, match="replace option only valid"):
        await handlers([engine(0, tmp_path)], ops).storage_format(request(replace=True))


@pytest.mark.asyncio
async def test_ram_disks_larger_than_memory_are_refused_before_any_is_made(tmp_path: Path) -> None:
    hosts = [engine(0, tmp_path), engine(1, tmp_path)]
    ops = Ops()
    short = replace(MEMORY, available_kib=(18 << 20) - 1)
    with pytest.raises(Fault) as caught:
        await handlers(hosts, ops, memory=short).storage_format(request())
    assert caught.value.code == Code.SCM_RAMDISK_LOW_MEM
    assert ops.done == []


@pytest.mark.asyncio
async def test_without_huge_pages_nvme_is_skipped_but_files_are_made(tmp_path: Path) -> None:
    ops = Ops()
    hosts = [engine(0, tmp_path), engine(1, tmp_path, tier("/b"))]
    reply = await handlers(hosts, ops, disable_hugepages=True).storage_format(request())
    assert [r.pci_addr for r in reply.crets] == ["<nil>", "/b"]
    assert reply.crets[0].state.info == "NVMe format skipped on instance 0, use of hugepages disabled in config"
    assert ops.done == ["scm 0", "scm 1", "bdevs 1", "config 1"]


@pytest.mark.asyncio
async def test_missing_metadata_are_made_first_and_the_engines_begin_anew(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a", roles=Role.META), metadata_path=tmp_path / "md")
    ops = Ops(states={0: ScmState.MOUNTED}, usage=ScmUsage(100, 50), metadata_missing=True)
    await handlers([host], ops).storage_format(request())
    assert ops.done == ["metadata", "bdevs 0", "config 0"]
    assert host.told == [False]

    forced = Ops()
    await handlers([host], forced).storage_format(request(reformat=True))
    assert forced.done[0] == "metadata force"


@pytest.mark.asyncio
async def test_a_state_that_cannot_be_told_is_that_engines_result(tmp_path: Path) -> None:
    hosts = [engine(0, tmp_path), engine(1, tmp_path)]
    fault = faults.device_with_fs_no_mountpoint("/dev/pmem0", "/mnt/daos0")
    ops = Ops(states={0: fault})
    reply = await handlers(hosts, ops).storage_format(request())
    assert "code = 106" in reply.mrets[0].state.error
    assert "do not format" in reply.mrets[0].state.info
    assert ops.done == ["scm 1"]

    await handlers(hosts, ops).storage_format(request(reformat=True))
    assert ops.done[1:] == ["scm 0 force", "scm 1 force"]


# Scan


def scan_request(**nvme: object) -> storage_pb2.StorageScanReq:
    meta = bool(nvme.get("Meta"))
    return storage_pb2.StorageScanReq(
        scm=storage_scm_pb2.ScanScmReq(usage=meta),
        nvme=storage_nvme_pb2.ScanNvmeReq(**nvme),  # type: ignore[arg-type]
    )


@pytest.mark.asyncio
async def test_a_scan_before_the_format_tells_memory_and_no_devices(tmp_path: Path) -> None:
    reply = await handlers([engine(0, tmp_path)], Ops()).storage_scan(scan_request())
    assert reply.scm == storage_scm_pb2.ScanScmResp(state=common_pb2.ResponseState())
    assert reply.nvme == storage_nvme_pb2.ScanNvmeResp(state=common_pb2.ResponseState())
    assert reply.sys_mem_info.mem_available_kb == 90 << 20
    assert reply.sys_mem_info.hugepage_size_kb == 2048
    assert reply.sys_mem_info.numa_nodes[0].mem_used_kb == 5


def ready(host: Host, rank: int) -> Host:
    host.is_started, host.is_ready, host.rank = True, True, rank
    return host


@pytest.mark.asyncio
async def test_usage_of_a_ram_disk_stands_in_a_namespace_made_up_for_it(tmp_path: Path) -> None:
    ops = Ops(usage=ScmUsage(10 * GIB, 9 * GIB))
    hosts = [ready(engine(0, tmp_path), 3), engine(1, tmp_path)]
    found = (await handlers(hosts, ops).storage_scan(scan_request(Meta=True))).scm.namespaces
    first = found[0]
    assert (first.blockdev, first.size) == ("ramdisk", 10 * GIB)
    assert (first.mount.path, getattr(first.mount, "class"), first.mount.rank) == (
        str(tmp_path / "daos0"),
        "ram",
        3,
    )
    assert (first.mount.total_bytes, first.mount.avail_bytes) == (10 * GIB, 9 * GIB)
    assert first.mount.usable_bytes == 9 * GIB - GIB - (16 << 20) - (1 << 20)
    second = found[1]
    assert (second.size, second.mount.rank, second.mount.total_bytes, second.mount.usable_bytes) == (0, NIL, 0, 0)


@pytest.mark.asyncio
async def test_little_available_scm_is_none_usable(tmp_path: Path) -> None:
    ops = Ops(usage=ScmUsage(GIB, GIB + (1 << 20)))
    found = (await handlers([ready(engine(0, tmp_path), 0)], ops).storage_scan(scan_request(Meta=True))).scm
    assert found.namespaces[0].mount.usable_bytes == 0


def smd(uuid: str, state: "smd_pb2.NvmeDevState.ValueType", roles: int, *targets: int) -> smd_pb2.SmdDevice:
    return smd_pb2.SmdDevice(
        uuid=uuid,
        role_bits=roles,
        tgt_ids=targets,
        ctrlr_namespace_id=1,
        ctrlr=smd_pb2.NvmeController(model="m", serial="s", dev_state=state, pci_cfg="ff"),
    )


@pytest.mark.asyncio
async def test_a_plain_scan_of_running_engines_lists_their_devices_with_as_little_as_possible(
    tmp_path: Path,
) -> None:
    host = ready(engine(0, tmp_path, tier("/a", "/b")), 7)
    host.devices = [
        smd("u1", smd_pb2.NORMAL, 0, 0, 1),
        smd("u2", smd_pb2.UNPLUGGED, 0, 2),
        smd("u3", smd_pb2.NEW, 0),
    ]
    found = (await handlers([host], Ops()).storage_scan(scan_request())).nvme
    assert found.state == common_pb2.ResponseState()
    assert [controller.dev_state for controller in found.ctrlrs] == [smd_pb2.NORMAL, smd_pb2.NEW]
    assert list(found.ctrlrs[0].smd_devices) == [smd_pb2.SmdDevice(rank=7, ctrlr_namespace_id=1)]
    assert not found.ctrlrs[0].pci_cfg
    assert not found.ctrlrs[0].HasField("health_stats")

    basic = (await handlers([host], Ops()).storage_scan(scan_request(Basic=True))).nvme.ctrlrs[0]
    assert (basic.model, basic.serial, len(basic.smd_devices)) == ("", "", 0)


@pytest.mark.asyncio
async def test_usage_takes_metadata_off_what_the_devices_can_give(tmp_path: Path) -> None:
    roles = int(Role.DATA | Role.META | Role.WAL)
    host = ready(engine(0, tmp_path, tier("/a", "/b", roles=Role(roles)), metadata_path=tmp_path / "md"), 0)
    host.devices = [smd("u1", smd_pb2.NORMAL, roles, 0, 1, 1024), smd("u2", smd_pb2.EVICTED, roles, 2)]
    ops = Ops(usage=ScmUsage(10 * GIB, 5 * GIB + (1 << 20)))
    found = (await handlers([host], ops).storage_scan(scan_request(Health=True, Meta=True))).nvme.ctrlrs
    device = found[0].smd_devices[0]
    # SCM of 5 GiB less 1 GiB for RDB over 4 targets: 1 GiB each; its log 1 GiB each; RDB and its log 1 GiB each.
    assert (device.meta_size, device.rdb_size, device.avail_bytes) == (GIB, GIB, 9 * GIB)
    assert device.usable_bytes == (9 - 2 - 1 - 2 - 1) // 2 * 2 * GIB
    assert (found[1].smd_devices[0].usable_bytes, found[1].smd_devices[0].avail_bytes) == (0, 0)


@pytest.mark.asyncio
async def test_the_poorest_target_of_a_rank_limits_them_all(tmp_path: Path) -> None:
    host = ready(engine(0, tmp_path, tier("/a", "/b")), 0)
    host.devices = [smd("u1", smd_pb2.NORMAL, 0, 0, 1, 2), smd("u2", smd_pb2.NORMAL, 0, 3)]
    ops = Ops(usage=ScmUsage(10 * GIB, 9 * GIB))
    found = (await handlers([host], ops).storage_scan(scan_request(Health=True, Meta=True))).nvme.ctrlrs
    assert [controller.smd_devices[0].usable_bytes for controller in found] == [9 * GIB, 3 * GIB]


@pytest.mark.asyncio
async def test_usage_cannot_be_told_while_all_engines_are_stopped(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="unavailable as engines stopped"):
        await handlers([engine(0, tmp_path, tier("/a"))], Ops()).storage_scan(scan_request(Meta=True))


@pytest.mark.asyncio
async def test_one_engines_failure_is_in_the_state_and_a_single_engines_is_the_answer(tmp_path: Path) -> None:
    hosts = [ready(engine(0, tmp_path, tier("/a")), 0), ready(engine(1, tmp_path, tier("/b")), 1)]
    hosts[0].status = -1006
    hosts[1].devices = [smd("u1", smd_pb2.NORMAL, 0, 0)]
    found = (await handlers(hosts, Ops()).storage_scan(scan_request())).nvme
    assert len(found.ctrlrs) == 1
    assert found.state.status == common_pb2.CTL_ERR_NVME
    assert "instance 0" in found.state.error
    with pytest.raises(ControlError, match="instance 0"):
        await handlers(hosts[:1], Ops()).storage_scan(scan_request())


@pytest.mark.asyncio
async def test_an_engine_that_does_not_become_ready_does_not_hold_the_scan_for_ever(tmp_path: Path) -> None:
    host = engine(0, tmp_path, tier("/a"))
    host.is_started = True
    with pytest.raises(ControlError, match="instance 0"):
        await handlers([host], Ops()).storage_scan(scan_request(), seconds=0.01)


@pytest.mark.asyncio
async def test_nvme_devices_of_stopped_engines_take_spdk(tmp_path: Path) -> None:
    host = engine(0, tmp_path, BdevTier(1, Class.NVME, ("0000:81:00.0",)))
    found = (await handlers([host], Ops()).storage_scan(scan_request())).nvme
    assert "SPDK" in found.state.error
    without = (await handlers([host], Ops(), disable_hugepages=True).storage_scan(scan_request())).nvme
    assert without == storage_nvme_pb2.ScanNvmeResp(state=common_pb2.ResponseState())


def test_the_cap_of_metadata_comes_from_the_engines_environment() -> None:
    config = ServerConfig.model_validate(
        {"engines": [{"env_vars": ["DAOS_MD_CAP=128"]}, {"env_vars": ["DAOS_MD_CAP=x"]}, {}]}
    )
    settings = StorageSettings.of(config)
    assert settings.rdb_bytes(0) == 128 << 20
    assert settings.rdb_bytes(2) == GIB
    with pytest.raises(ControlError, match="does not define a plain int"):
        settings.rdb_bytes(1)
