"""`daos_server nvme` as a process, through the real helper and a program that behaves as SPDK's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakes.fake_nvme_host import Tree

A, B = "0000:81:00.0", "0000:82:00.0"
FAKE = Path(__file__).parent.parent / "fakes" / "fake_spdk_tgt.py"

pytestmark = pytest.mark.root


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    found = Tree(tmp_path / "root")
    found.add(A, "vfio-pci")
    with (tmp_path / "a1").open("wb") as data:
        data.truncate(8 << 20)
    namespaces = [{"id": 1, "block": 512, "file": str(tmp_path / "a1")}]
    controller = {"model": "Model a", "serial": "Sa", "revision": "1.0", "namespaces": namespaces}
    (tmp_path / "world.json").write_text(json.dumps({"controllers": {A: controller}}))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "spdk_tgt").write_text(f'#!/bin/sh\nexec {sys.executable} -I {FAKE} "$@"\n')
    (programs / "spdk_tgt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SPDK", str(tmp_path / "world.json"))
    monkeypatch.setenv("DAOS_CONTROL_TEST_ROOT", str(tmp_path / "root"))
    return found


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daos_control.cli.daos_server", "nvme", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


TABLE = """\
Scan locally-attached NVMe storage...
NVMe PCI     Model   FW Revision Socket Capacity Role(s) Rank 
--------     -----   ----------- ------ -------- ------- ---- 
0000:81:00.0 Model a 1.0         0      8.4 MB   NA      None 

"""  # noqa: W291 as DAOS's tables are


@pytest.mark.usefixtures("tree")
def test_a_scan_of_prepared_devices_prints_daos_table_and_json() -> None:
    done = run("scan", "--skip-prep", "--ignore-config")
    assert (done.returncode, done.stdout) == (0, TABLE)
    answer: dict[str, Any] = json.loads(run("scan", "--skip-prep", "--ignore-config", "--json").stdout)
    (found,) = answer["response"]
    assert (answer["error"], answer["status"]) == (None, 0)
    assert (found["pci_addr"], found["dev_state"], found["vendor_id"]) == (A, "UNKNOWN", "")
    assert found["namespaces"] == [{"id": 1, "size": 8 << 20}]
    assert found["health_stats"]["temperature"] == 303


def test_a_scan_prepares_devices_and_gives_them_back(tree: Tree) -> None:
    tree.probe(A)
    assert tree.driver(A) == "nvme"
    with tree.kernel():
        done = run("scan", "--ignore-config")
    assert (done.returncode, done.stdout) == (0, TABLE)
    assert tree.driver(A) == "nvme"


def test_prepare_and_reset_take_lists_with_commas(tree: Tree) -> None:
    tree.add(B, "nvme")
    with tree.kernel():
        done = run("prepare", "--ignore-config", "-p", "200", "--pci-block-list", A, f"{A},{B}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (tree.driver(B), (tree.pages(0) / "nr_hugepages").read_text().strip()) == ("vfio-pci", "200")
        assert run("reset", "--ignore-config", B).returncode == 0
        assert (tree.driver(A), tree.driver(B)) == ("vfio-pci", "nvme")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("prepare", "--ignore-config", "nonsense"), 303),
        (("reset", "--ignore-config", "--pci-block-list", "0000:81:00.9"), 303),
        (("prepare", "--ignore-config", "--disable-vfio", "-u", "nobody"), 310),
        (("prepare", "--ignore-config", "0000:99:00.0"), 304),
    ],
)
@pytest.mark.usefixtures("tree")
def test_mistakes_are_faults_with_what_to_do(words: tuple[str, ...], code: int) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert f"code = {code} resolution = " in done.stderr


@pytest.mark.skipif(Path("/sys/class/iommu").is_dir() and any(Path("/sys/class/iommu").iterdir()), reason="IOMMU")
@pytest.mark.usefixtures("tree")
def test_other_users_need_an_iommu() -> None:
    done = run("prepare", "--ignore-config", "-u", "nobody")
    assert (done.returncode, "code = 311" in done.stderr) == (1, True)


@pytest.mark.usefixtures("tree")
def test_disabled_huge_pages_are_fault_107(tmp_path: Path) -> None:
    file = tmp_path / "daos_server.yml"
    file.write_text("mgmt_svc_replicas: [localhost]\nprovider: ofi+tcp\ndisable_hugepages: true\n")
    for words in (("scan",), ("prepare",), ("reset",)):
        done = run(*words, "-o", str(file))
        assert (done.returncode, "code = 107" in done.stderr) == (1, True), done.stderr
