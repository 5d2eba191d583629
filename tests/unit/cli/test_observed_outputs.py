"""dmg prints the bytes of DAOS's own dmg, as recorded in observed/ (hosts, uuids and times as they are there)."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest

from daos_control.faults import PoolNotFoundError, RemoteError
from daos_control.faults.client import connection_refused
from daos_control.proto.ctl import network_pb2, smd_pb2, storage_nvme_pb2, storage_pb2, storage_scm_pb2
from daos_control.proto.mgmt import pool_pb2, svc_pb2, system_pb2
from daos_control.proto.shared import ranks_pb2
from fake_dmg import Answer, run_dmg

OBSERVED = Path(__file__).parent / "observed"
TANK = "3d3247d5-9e39-4cc1-9fa2-407931e49389"
P1 = "c659a01a-a5b9-4755-a2e7-06c2be50c8d1"
ENGINE_1 = "7693e29d-e88d-4c3e-b544-1afc46719048"
ENGINE_2 = "fa98feaf-ed16-4762-92ac-6016baca8081"
ALL_POLICIES = "exclude;pool_exclude;pool_rebuild"
UNINITIALIZED = RemoteError("Unknown", "system is uninitialized (storage format required?)")


@dataclass
class Case:
    """A recorded output, with the answers that dmg had."""

    name: str
    args: str
    answers: dict[str, Answer]
    host: str = "127.0.0.1"
    uuid: str = field(default=TANK)


def member(uuid_: str, address: str, state: str, info: str = "", **more: object) -> system_pb2.SystemQueryResp:
    one = system_pb2.SystemMember(
        addr=address, uuid=uuid_, rank=0, state=state, fault_domain="/vm", info=info, fabric_contexts=3, **more
    )
    return system_pb2.SystemQueryResp(
        members=[one], providers=["ofi+tcp"], sys_self_heal_policy=ALL_POLICIES, data_version=3
    )


def ranks(reply: Callable[..., object], action: str, state: str, msg: str, address: str = "127.0.0.1:10001"):
    result = ranks_pb2.RankResult(rank=0, action=action, state=state, msg=msg, addr=address)
    return reply(results=[result])


def pool_query(free: int, uuid_: str = TANK) -> pool_pb2.PoolQueryResp:
    def stats(total: int, free: int, media: int) -> pool_pb2.StorageUsageStats:
        return pool_pb2.StorageUsageStats(total=total, free=free, min=free, max=free, mean=free, media_type=media)

    return pool_pb2.PoolQueryResp(
        uuid=uuid_,
        total_targets=1,
        active_targets=1,
        total_engines=1,
        version=1,
        svc_reps=[0],
        rebuild=pool_pb2.PoolRebuildStatus(state=pool_pb2.PoolRebuildStatus.IDLE),
        tier_stats=[stats(2147483648, free, 0), stats(0, 0, 1)],
        disabled_ranks="[]",
        pool_layout_ver=4,
        upgrade_layout_ver=4,
        mem_file_bytes=2147483648,
        query_mask=0xFFFFFFFFFFFFFFEB,
        sys_self_heal_policy=ALL_POLICIES,
    )


def self_heal() -> pool_pb2.PoolGetPropResp:
    return pool_pb2.PoolGetPropResp(properties=[pool_pb2.PoolProperty(number=4, numval=3)])


def listed(uuid_: str, label: str) -> pool_pb2.ListPoolsResp:
    return pool_pb2.ListPoolsResp(
        pools=[pool_pb2.ListPoolsResp.Pool(uuid=uuid_, label=label, svc_reps=[0], state="Ready")]
    )


def scan(total: int = 0, free: int = 0) -> storage_pb2.StorageScanResp:
    namespaces = []
    if total:
        mount = storage_scm_pb2.ScmNamespace.Mount(path="/mnt", total_bytes=total, avail_bytes=free)
        namespaces = [storage_scm_pb2.ScmNamespace(blockdev="ramdisk", size=total, mount=mount)]
    node = storage_pb2.MemInfo(mem_total_kb=7825620, mem_free_kb=3882128, mem_used_kb=3943492)
    return storage_pb2.StorageScanResp(
        nvme=storage_nvme_pb2.ScanNvmeResp(),
        scm=storage_scm_pb2.ScanScmResp(namespaces=namespaces),
        sys_mem_info=storage_pb2.SysMemInfo(
            hugepage_size_kb=2048,
            mem_total_kb=24684092,
            mem_free_kb=20740548,
            mem_available_kb=23956084,
            numa_nodes=[node],
        ),
    )


def formatted() -> storage_pb2.StorageFormatResp:
    reply = storage_pb2.StorageFormatResp()
    device = reply.crets.add(pci_addr="<nil>")
    device.state.info = "NVMe format skipped on instance 0, use of hugepages disabled in config"
    reply.mrets.add(mntpoint="mnt/daos0")
    return reply


def network() -> network_pb2.NetworkScanResp:
    interface = network_pb2.FabricInterface(provider="ofi+tcp", device="eth0", netdevclass=1)
    return network_pb2.NetworkScanResp(interfaces=[interface], numacount=1, corespernuma=2)


def tank_properties() -> pool_pb2.PoolGetPropResp:
    numbers = {
        22: 1, 23: 5, 24: 50, 10: 4096, 9: 131072, 12: 1, 14: 4, 21: 255, 11: 0, 5: 1, 25: 0, 13: 4294967295,
        16: 0, 17: 604800, 18: 0, 4: 3, 3: 5, 26: 0, 27: 300, 19: 2, 15: 0,
    }  # fmt: skip
    reply = pool_pb2.PoolGetPropResp()
    for number, value in numbers.items():
        reply.properties.add(number=number, numval=value)
    reply.properties.add(number=1, strval="tank")
    reply.properties.add(number=8, strval="[0]")
    return reply


def created(size: int) -> pool_pb2.PoolCreateResp:
    return pool_pb2.PoolCreateResp(svc_reps=[0], tgt_ranks=[0], tier_bytes=[size, 0])


def system_properties() -> system_pb2.SystemGetPropResp:
    return system_pb2.SystemGetPropResp(
        properties={
            "daos_version": "2.8.0",
            "daos_system": "daos_server",
            "self_heal": ALL_POLICIES,
            "pool_scrub_thresh": "0",
            "pool_scrub_mode": "off",
        }
    )


LEADER = svc_pb2.LeaderQueryResp(current_leader="127.0.0.1:10001", replicas=["127.0.0.1:10001"])
NO_LEADER = svc_pb2.LeaderQueryResp(replicas=["127.0.0.1:10001"])
JOINED_1 = member(
    ENGINE_1,
    "127.0.0.1:10501",
    "joined",
    incarnation=2975134260810743808,
    fabric_uri="ofi+tcp://127.0.0.1:31716",
    last_update="2026-11-23T03:38:15.339455039Z",
)
JOINED_2 = member(
    ENGINE_2,
    "127.0.0.1:10001",
    "joined",
    incarnation=1795404649467819566,
    fabric_uri="ofi+tcp://127.0.0.1:20000",
    last_update="2026-11-23T03:30:52.497022785Z",
)
REJOINED_2 = member(
    ENGINE_2,
    "127.0.0.1:10001",
    "joined",
    incarnation=1795404677975384675,
    fabric_uri="ofi+tcp://127.0.0.1:20000",
    last_update="2026-11-23T03:31:17.99647182Z",
)
FORMAT = {"SystemQuery": UNINITIALIZED, "StorageFormat": formatted()}
TANK_QUERY = {"PoolQuery": pool_query(1517738688), "PoolGetProp": self_heal()}

CASES = [
    Case("01_storage_scan_pre", "storage scan", {"StorageScan": scan()}, host="localhost"),
    Case("12_storage_scan_post", "storage scan", {"StorageScan": scan()}, host="localhost"),
    Case("pre_storage_scan", "storage scan", {"StorageScan": scan()}),
    Case("pre_storage_scan_j", "-j storage scan", {"StorageScan": scan()}),
    Case("pre_storage_scan_v", "storage scan --verbose", {"StorageScan": scan()}),
    Case("drpceng_storage_scan_v", "storage scan -v", {"StorageScan": scan()}),
    Case("03_storage_format", "storage format", FORMAT, host="localhost"),
    Case("storage_format", "storage format", FORMAT),
    Case("drpceng_storage_format_j", "-j storage format", FORMAT),
    Case(
        "12b_storage_query_usage",
        "storage query usage",
        {"StorageScan": scan(5368709120, 2952790016)},
        host="localhost",
    ),
    Case("drpceng_storage_usage", "storage query usage", {"StorageScan": scan(4294967296, 4294967296)}),
    Case("pre_network_scan", "network scan", {"NetworkScan": network()}),
    Case("pre_network_scan_j", "-j network scan", {"NetworkScan": network()}),
    Case("dmg_unreachable", "network scan", {"NetworkScan": connection_refused("127.0.0.1:10999")}),
    Case("04_system_query", "system query -v", {"SystemQuery": JOINED_1}),
    Case("43_system_query_started", "system query -v", {"SystemQuery": JOINED_1}),
    Case("13_system_list_pools_json", "-j system query", {"SystemQuery": JOINED_1}),
    Case("drpceng_system_query", "system query", {"SystemQuery": JOINED_2}),
    Case("drpceng_system_query_v", "system query -v", {"SystemQuery": JOINED_2}),
    Case("drpceng_system_query_j", "-j system query", {"SystemQuery": JOINED_2}),
    Case("drpceng_system_query_restarted_j", "-j system query", {"SystemQuery": REJOINED_2}),
    Case("pre_system_query", "system query", {"SystemQuery": UNINITIALIZED}),
    Case("pre_system_query_j", "-j system query", {"SystemQuery": UNINITIALIZED}),
    Case(
        "41_system_query_stopped",
        "system query -v",
        {"SystemQuery": member(ENGINE_1, "127.0.0.1:10501", "stopped", "system stop")},
    ),
    Case(
        "drpceng_system_query_stopped",
        "system query",
        {"SystemQuery": member(ENGINE_2, "127.0.0.1:10001", "stopped", "system stop")},
    ),
    Case(
        "40_system_stop",
        "system stop",
        {"SystemStop": ranks(system_pb2.SystemStopResp, "stop", "stopped", "system stop")},
    ),
    Case(
        "drpceng_system_stop_j",
        "-j system stop --force",
        {"SystemStop": ranks(system_pb2.SystemStopResp, "stop", "stopped", "system stop")},
    ),
    Case(
        "42_system_start",
        "system start",
        {"SystemStart": ranks(system_pb2.SystemStartResp, "start", "ready", "system start")},
    ),
    Case(
        "drpceng_system_start_j",
        "-j system start",
        {"SystemStart": ranks(system_pb2.SystemStartResp, "start", "ready", "system start")},
    ),
    Case("pre_leader_query", "system leader-query", {"LeaderQuery": NO_LEADER}),
    Case("drpceng_leader_query_j", "-j system leader-query", {"LeaderQuery": LEADER}),
    Case(
        "drpceng_get_attr_j",
        "-j system get-attr",
        {"SystemGetAttr": system_pb2.SystemGetAttrResp(attributes={"foo": "bar"})},
    ),
    Case("drpceng_set_attr", "system set-attr foo:bar", {"SystemSetAttr": svc_pb2.DaosResp()}),
    Case("drpceng_get_prop", "system get-prop", {"SystemGetProp": system_properties()}),
    Case("06_pool_create", "pool create -z 2GiB tank", {"PoolCreate": created(2147483648)}),
    Case(
        "drpceng_pool_create_j",
        "-j pool create --size=1GiB p1",
        {"PoolCreate": created(1073741824)},
        uuid=P1,
    ),
    Case("07_pool_list", "pool list -v", {"ListPools": listed(TANK, "tank"), **TANK_QUERY}),
    Case("drpceng_list_pools", "pool list", {"ListPools": pool_pb2.ListPoolsResp()}),
    Case("drpceng_list_pools_j", "-j pool list", {"ListPools": pool_pb2.ListPoolsResp()}),
    Case("drpceng_pool_list2_j", "-j pool list --no-query", {"ListPools": listed(P1, "p1")}),
    Case("08_pool_query", "pool query tank", TANK_QUERY),
    Case("09_pool_query_json", "-j pool query tank", TANK_QUERY),
    Case(
        "44_pool_query_after_restart",
        "pool query tank",
        {"PoolQuery": pool_query(1300000000), "PoolGetProp": self_heal()},
    ),
    Case(
        "drpceng_pool_query",
        "pool query p1",
        {
            "PoolQuery": pool_query(0),
            "PoolGetProp": PoolNotFoundError(uuid="00000000-0000-0000-0000-000000000000"),
        },
    ),
    Case("10_pool_get_prop", "pool get-prop tank", {"PoolGetProp": tank_properties()}),
    Case("dmg_version", "version", {}),
]


def recorded(name: str) -> tuple[str, int]:
    """The output of a recording and its exit code; the command and the shell's timings left out."""
    lines = (OBSERVED / f"{name}.txt").read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    end = next(index for index, line in enumerate(lines) if line.startswith("rc="))
    body = [line for line in lines[:end] if not re.match(r"(real|user|sys)\t", line)]
    if len(body) < end:  # the shell's timings begin with a blank line
        body.pop()
    return "".join(body), int(lines[end].removeprefix("rc="))


def without_keys(text: str) -> str:
    """Without the numbers that stand for equal hosts."""
    return re.sub(r'^(\s+)"\d{1,20}": \{$', r'\1"KEY": {', text, flags=re.MULTILINE)


# The paths in this recording are not those of the host that it was made on, and its number is of those.
OTHER_NUMBERS = {"drpceng_storage_format_j"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_output_has_the_bytes_of_daos(case: Case) -> None:
    expected, code = recorded(case.name)
    with patch("daos_control.client.pool_create.uuids.uuid4", return_value=uuid.UUID(case.uuid)):
        run = run_dmg(*case.args.split(), hosts=(case.host,), **case.answers)
    if case.name in OTHER_NUMBERS:
        assert without_keys(run.both) == without_keys(expected)
    else:
        assert run.both == expected
    assert run.code == code


def test_every_recording_of_dmg_is_compared() -> None:
    compared = {case.name for case in CASES} | {"dmg_version_j", "dmg_secure_nocert"}
    assert {path.stem for path in OBSERVED.glob("*.txt")} == compared


def test_secure_mode_without_certificates_is_refused_with_a_cure(tmp_path: Path) -> None:
    expected, code = recorded("dmg_secure_nocert")
    certs = tmp_path / "certs"
    config = tmp_path / "control.yml"
    config.write_text(
        f"transport_config:\n  ca_cert: {certs}/daosCA.crt\n  cert: {certs}/admin.crt\n  key: {certs}/admin.key\n"
    )
    from daos_control.cli import dmg

    with patch("sys.stderr") as err, patch("sys.stdout"):
        assert dmg.run(["-o", str(config), "system", "query"]) == code
    written = "".join(call.args[0] for call in err.write.call_args_list)
    first, second = written.replace(str(certs), "/etc/daos/certs").splitlines()
    assert first.replace("system query failed: ", "") == expected.splitlines()[0]
    assert second.startswith("ERROR: dmg: security: code = 901 resolution = ")


def test_version_in_json_has_the_fields_of_daos() -> None:
    import json

    expected = json.loads(recorded("dmg_version_j")[0])
    run = run_dmg("-j", "version")
    found = json.loads(run.out)
    assert list(found["response"]) == list(expected["response"])
    assert found["response"]["version"] == expected["response"]["version"]


def test_smd_devices_of_a_scan_have_the_json_of_daos() -> None:
    import json

    device = smd_pb2.SmdDevice(uuid="u", tgt_ids=[1024, 0, 0, 1], rank=2, role_bits=3)
    reply = scan()
    reply.nvme.ctrlrs.add(model="m", pci_addr="0000:81:00.0", smd_devices=[device], dev_state=1)
    found = json.loads(run_dmg("-j", "storage", "scan", StorageScan=reply).out)
    (host,) = found["response"]["HostStorage"].values()
    (controller,) = host["storage"]["nvme_devices"]
    (smd,) = controller["smd_devices"]
    assert list(smd)[:4] == ["role_bits", "uuid", "tgt_ids", "rank"]
    assert (smd["tgt_ids"], smd["has_sys_xs"], smd["roles"]) == ([0, 1], True, "data,meta")
    assert controller["dev_state"] == "NORMAL"
    assert smd["ctrlr"]["smd_devices"] is None
