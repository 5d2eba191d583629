"""`daos_server config generate` finds the hardware of the host it runs on."""

from pathlib import Path

import pytest

from daos_control.cli import daos_server_config
from daos_control.cli.daos_server import main
from daos_control.cli.daos_server_config import ThisHost
from daos_control.config import server
from daos_control.config.generate.hardware import FabricInterface, Pmem, Ssd, scan
from daos_control.network import libfabric, offers
from daos_control.network import scan as network
from daos_control.network.interfaces import interfaces
from fakes.fake_sysfs import Sysfs

NVME = {"class": "0x010802", "vendor": "0x8086"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two nodes with 8 cores, an interface, an SSD and persistent memory each; and one SSD with a mount."""
    sysfs = Sysfs(tmp_path / "sys")
    for node in (0, 1):
        sysfs.node(node, tuple(range(node * 16, node * 16 + 16)), threads=2)
        bus = f"0000:{node * 0x80:02x}"
        sysfs.net(f"eth{node}", sysfs.function(f"{bus}:03.0", node, bus))
        sysfs.function(f"{bus}:04.0", node, bus, **NVME)
        memory = tmp_path / f"sys/devices/LNXSYSTM:00/ndbus0/region{node}/namespace{node}.0"
        sysfs.block(f"pmem{node}", memory, 4 << 21, f"259:{node}")
        sysfs.write(memory / "numa_node", str(node))
    used = sysfs.function("0000:00:05.0", 0, "0000:00", **NVME)
    (used / "nvme/nvme0").mkdir(parents=True)
    disk = used / "nvme/nvme0/nvme0n1"
    sysfs.write(disk / "size", "8")
    sysfs.write(disk / "dev", "259:7")
    (tmp_path / "sys/class/block/nvme0n1").symlink_to(disk)
    proc = tmp_path / "proc"
    for directory in (proc, proc / "self"):
        directory.mkdir(exist_ok=True)
        (directory / "mounts").write_text("/dev/nvme0n1 / ext4 rw 0 0\n")
    (proc / "self/mountinfo").write_text("22 1 259:7 / / rw - ext4 /dev/nvme0n1 rw\n")
    (proc / "meminfo").write_text("MemTotal:       268435456 kB\nHugepagesize:       2048 kB\n")
    addresses = {"eth0": ("192.0.2.1",), "eth1": ("192.0.2.2",), "lo": ("127.0.0.1",)}
    monkeypatch.setattr(libfabric, "offers", lambda: None)
    monkeypatch.setattr(network, "interfaces", lambda sysfs: interfaces(sysfs, addresses))
    return tmp_path


def test_the_hardware_is_found_and_what_is_in_use_left_out(root: Path) -> None:
    found = scan(ThisHost(root))
    assert (found.numa_count, found.cores_per_numa, found.memory_kib) == (2, 8, 268435456)
    assert found.pmem == (Pmem("pmem0", 0, 4 << 30), Pmem("pmem1", 1, 4 << 30))
    assert found.ssds == (Ssd("0000:00:04.0", 0), Ssd("0000:80:04.0", 1))
    tcp = [one for one in found.interfaces if one.provider == "ofi+tcp"]
    assert tcp == [FabricInterface("ofi+tcp", "eth0", 0, 3, 1), FabricInterface("ofi+tcp", "eth1", 1, 3, 1)]
    assert offers.CXI not in {one.provider for one in found.interfaces}


def test_the_command_prints_a_configuration_that_the_check_accepts(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(daos_server_config, "ThisHost", lambda: ThisHost(root))
    words = "cfg gen -c ethernet -a a,b,c -f 5000,6000 --net-provider=ofi+tcp --skip-prep -l /tmp/log"
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    out, err = capsys.readouterr()
    assert not caught.value.code
    assert err == "NOTICE: access-points is deprecated; please use ms-replicas instead\n"
    made = server.parse(out, "printed")
    assert made.mgmt_svc_replicas == ["a:10001", "b:10001", "c:10001"]
    assert [(e.fabric_iface, e.fabric_iface_port, e.pinned_numa_node) for e in made.engines] == [
        ("eth0", 5000, 0),
        ("eth1", 6000, 1),
    ]
    assert [str(e.storage[0].scm_list[0]) for e in made.engines] == ["/dev/pmem0", "/dev/pmem1"]


def test_json_is_refused_as_by_daos(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["-j", "config", "generate"])
    assert caught.value.code == 1
    assert "does not support JSON output" in capsys.readouterr().out


def test_this_host_itself_can_be_looked_at() -> None:
    found = scan(ThisHost())
    assert found.numa_count >= 1
    assert found.memory_kib > 0
