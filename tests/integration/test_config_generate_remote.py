"""`dmg config generate` over several hosts, each a server of its own on loopback; and `dmg network scan`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daos_control.config import server
from daos_control.proto.ctl import common_pb2, network_pb2, storage_nvme_pb2, storage_pb2, storage_scm_pb2
from fake_control import Answer, FakeControl, fake_control

pytestmark = pytest.mark.asyncio


def network(cores: int = 26, nodes: int = 2) -> network_pb2.NetworkScanResp:
    reply = network_pb2.NetworkScanResp(numacount=nodes, corespernuma=cores)
    for node in range(nodes):
        reply.interfaces.add(provider="ofi+tcp", device=f"eth{node}", numanode=node, priority=3, netdevclass=1)
        reply.interfaces.add(provider="ofi+cxi", device=f"hsn{node}", numanode=node, priority=9, netdevclass=1)
    return reply


def storage(ssds: int = 4, free_kib: int = 1) -> storage_pb2.StorageScanResp:
    reply = storage_pb2.StorageScanResp(
        scm=storage_scm_pb2.ScanScmResp(state=common_pb2.ResponseState()),
        nvme=storage_nvme_pb2.ScanNvmeResp(state=common_pb2.ResponseState()),
        sys_mem_info=storage_pb2.SysMemInfo(mem_total_kb=1 << 28, hugepage_size_kb=2048, mem_free_kb=free_kib),
    )
    for node in (0, 1):
        reply.scm.namespaces.add(blockdev=f"pmem{node}", numa_node=node, size=1 << 40, uuid=str(free_kib))
        for number in range(ssds):
            reply.nvme.ctrlrs.add(pci_addr=f"0000:{0x80 + node:02x}:{number:02x}.0", socket_id=node)
    return reply


class Hosts:
    """Servers, and dmg with all of them in its configuration."""

    def __init__(self, directory: Path, servers: list[FakeControl]) -> None:
        self.servers = servers
        self._config = directory / "daos_control.yml"
        addresses = json.dumps([one.address for one in servers])
        self._config.write_text(f"hostlist: {addresses}\ntransport_config: {{allow_insecure: true}}\n")

    async def dmg(self, *args: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "daos_control.cli.dmg", "-o", str(self._config), *args),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def hosts(directory: Path, first: dict[str, Answer], second: dict[str, Answer]) -> AsyncIterator[Hosts]:
    async with fake_control(first) as a, fake_control(second, address="127.0.0.2:0") as b:
        yield Hosts(directory, [a, b])


def answers(**changes: Answer) -> dict[str, Answer]:
    return {"NetworkScan": network(), "StorageScan": storage()} | changes


async def test_hosts_that_are_alike_get_one_configuration(tmp_path: Path) -> None:
    other = answers(StorageScan=storage(free_kib=77))
    async with hosts(tmp_path, answers(), other) as these:
        code, out, err = await these.dmg("config", "generate", "-c", "ethernet", "-r", "a,b,c")
        asked = [(name, request) for one in these.servers for name, request, _ in one.calls]
    assert (code, err) == (0, "")
    made = server.parse(out, "printed")
    assert [engine.fabric_iface for engine in made.engines] == ["eth0", "eth1"]
    assert [len(engine.bdevs[0].bdev_list) for engine in made.engines] == [4, 4]
    assert [name for name, _ in asked] == ["NetworkScan", "StorageScan"] * 2
    assert all(request.provider == "all" for name, request in asked if name == "NetworkScan")
    assert all(request.nvme.Basic for name, request in asked if name == "StorageScan")


async def test_all_options_reach_the_generator(tmp_path: Path) -> None:
    words = "cfg gen -a h:7 -e 1 -t -m /var/md -c ethernet -p ofi+cxi -f 6000"
    async with hosts(tmp_path, answers(), answers()) as these:
        code, out, err = await these.dmg(*words.split())
        scm_only = await these.dmg("config", "generate", "-s", "--net-class=ethernet", "--num-engines=2")
    assert (code, err) == (0, "NOTICE: access-points is deprecated; please use ms-replicas instead\n")
    made = server.parse(out, "printed")
    (engine,) = made.engines
    assert (made.port, made.mgmt_svc_replicas, made.provider) == (7, ["h:7"], "ofi+cxi")
    assert (engine.fabric_iface, engine.fabric_iface_port, engine.storage[0].class_) == ("hsn0", 6000, "ram")
    assert [tier.bdev_roles for tier in engine.bdevs] == [["wal"], ["data", "meta"]]
    assert made.control_metadata.path == Path("/var/md")
    assert [engine.bdevs for engine in server.parse(scm_only[1], "printed").engines] == [(), ()]


async def test_the_json_is_that_of_daos(tmp_path: Path) -> None:
    async with hosts(tmp_path, answers(), answers()) as these:
        code, out, _ = await these.dmg("-j", "config", "generate", "-c", "ethernet", "-p", "ofi+tcp")
    body = json.loads(out)
    assert (code, body["error"], body["status"]) == (0, None, 0)
    response = body["response"]
    assert list(response)[:4] == ["ControlPort", "ControlInterface", "TransportConfig", "Engines"]
    tier = response["Engines"][1]["Storage"]["Tiers"][1]
    assert tier["Bdev"] == {
        "DeviceList": [f"0000:81:0{number}.0" for number in range(4)],
        "DeviceCount": 0,
        "FileSize": 0,
        "BusidRange": None,
        "DeviceRoles": "NA",
        "NumaNodeIndex": 1,
    }
    assert response["Engines"][1]["Storage"]["ConfigOutputPath"] == "/mnt/daos1/daos_nvme.conf"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"NetworkScan": network(cores=8)}, "network hardware not consistent across hosts: "),
        ({"NetworkScan": network(cores=8)}, "lacks 26 cores per NUMA node and has 8 cores per NUMA node"),
        ({"StorageScan": storage(ssds=3)}, "lacks SSD 0000:80:03.0 (NUMA node 0), SSD 0000:81:03.0 (NUMA node 1)"),
    ],
)
async def test_the_host_that_differs_is_named(changes: dict[str, Answer], told: str, tmp_path: Path) -> None:
    async with hosts(tmp_path, answers(), answers(**changes)) as these:
        code, out, err = await these.dmg("config", "generate", "-c", "ethernet")
        second = these.servers[1].address
    assert (code, out) == (1, "")
    assert told in err
    assert f"against the others, {second} lacks" in err


async def test_a_host_that_does_not_answer_is_told_and_nothing_is_generated(tmp_path: Path) -> None:
    async with hosts(tmp_path, answers(), answers()) as these:
        await these.servers[1].stop()
        code, out, err = await these.dmg("config", "generate", "-c", "ethernet")
        told = await these.dmg("-j", "config", "generate")
    assert (code, out) == (1, "")
    assert "127.0.0.2" in err
    assert "ERROR: dmg: 1 host had errors" in err
    body = json.loads(told[1])
    assert (body["response"], body["error"]) == (None, "1 host had errors")


async def test_a_part_of_a_scan_that_fails_is_an_error_of_the_host(tmp_path: Path) -> None:
    broken = storage()
    broken.nvme.state.status = common_pb2.CTL_ERR_NVME
    broken.nvme.state.error = "SPDK is missing"
    async with hosts(tmp_path, answers(), answers(StorageScan=broken)) as these:
        code, _, err = await these.dmg("config", "generate", "-c", "ethernet", "-s")
    assert code == 1
    assert "SPDK is missing" in err


async def test_fault_511_comes_with_its_cure(tmp_path: Path) -> None:
    uneven = storage(ssds=0)
    for node, count in ((0, 1), (1, 2)):
        for number in range(count):
            uneven.nvme.ctrlrs.add(pci_addr=f"5d{node:02x}05:{number + 1:02x}:00.0", socket_id=node)
    same = answers(StorageScan=uneven)
    async with hosts(tmp_path, same, same) as these:
        code, _, err = await these.dmg("config", "generate", "-c", "ethernet")
    assert code == 1
    assert "client: code = 511 resolution = " in err


async def test_a_network_scan_has_daos_s_numbers_for_equal_hosts(tmp_path: Path) -> None:
    eth0 = network_pb2.FabricInterface(provider="ofi+tcp", device="eth0", netdevclass=1)
    reply = network_pb2.NetworkScanResp(interfaces=[eth0], numacount=1, corespernuma=2)
    async with hosts(tmp_path, {"NetworkScan": reply}, {"NetworkScan": reply}) as these:
        code, out, _ = await these.dmg("-j", "network", "scan")
    fabrics = json.loads(out)["response"]["HostFabrics"]
    assert code == 0
    assert list(fabrics) == ["323415581278096540"]
