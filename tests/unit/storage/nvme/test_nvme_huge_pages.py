"""Huge pages per NUMA node, and what dead programs left."""

from pathlib import Path

import pytest

from daos_control.faults import Code, ControlError, Fault
from daos_control.storage.nvme import address, host, huge_pages, kernel
from daos_control.storage.nvme.host import Host, NodePages
from daos_control.storage.nvme.huge_pages import Allocation
from daos_control.storage.nvme.kernel import Kernel
from fakes.fake_nvme_host import Tree

HOST = Host((), pages=(NodePages(0, 512, 0), NodePages(1, 0, 0)))


def test_pages_are_shared_by_the_nodes_and_never_shrink() -> None:
    assert huge_pages.share(1024, [0, 1], HOST) == "nodes_hp[0]=512,nodes_hp[1]=512"
    assert huge_pages.share(256, [0, 1], HOST) == "nodes_hp[0]=512,nodes_hp[1]=128"
    assert huge_pages.share(1025, [1], HOST) == "nodes_hp[1]=1025"


@pytest.mark.parametrize(
    ("nodes", "count", "expected"),
    [
        ("nodes_hp[0]=512,nodes_hp[1]=512", 0, (Allocation(1, 512),)),
        ("nodes_hp[0]=100", 0, ()),
        ("", 0, (Allocation(0, 1024),)),
        ("", 600, (Allocation(0, 600),)),
    ],
)
def test_a_plan_has_only_what_is_missing(nodes: str, count: int, expected: tuple[Allocation, ...]) -> None:
    assert huge_pages.plan(HOST, nodes, count) == expected


@pytest.mark.parametrize("nodes", ["nodes_hp[7]=1", "nodes_hp[0]=x", "garbage", f"nodes_hp[0]={2**31}"])
def test_bad_allocations_are_refused(nodes: str) -> None:
    with pytest.raises(ControlError):
        huge_pages.plan(HOST, nodes, 0)


def test_pages_are_set_on_their_node(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root", nodes=2)
    plan = huge_pages.plan(host.snapshot(tree.root), "nodes_hp[1]=128", 0)
    kernel.allocate(plan, 2048, Kernel(tree.root))
    assert [(tree.pages(node) / "nr_hugepages").read_text().strip() for node in (0, 1)] == ["0", "128"]


def test_too_few_pages_are_told_with_both_figures(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")

    class Full(Kernel):
        def write(self, path: str, text: str) -> None:
            super().write(path, str(min(int(text), 77)))

    with pytest.raises(Fault, match="room for 77 huge pages, and 128 are needed") as caught:
        kernel.allocate([Allocation(0, 128)], 2048, Full(tree.root))
    assert caught.value.code == Code.BDEV_UNKNOWN


def test_map_files_of_dead_programs_are_removed_and_no_others(tmp_path: Path) -> None:
    pages, proc = tmp_path / "pages", tmp_path / "proc"
    pages.mkdir()
    (proc / "77").mkdir(parents=True)
    for name in ("spdk_pid4711map_0", "spdk_pid4711map_1", "spdk_pid77map_0", "rtemap_0", "spdk_pidmap"):
        (pages / name).touch()
    assert huge_pages.clean_map_files([pages, tmp_path / "missing"], proc) == 2
    assert sorted(path.name for path in pages.iterdir()) == ["rtemap_0", "spdk_pid77map_0", "spdk_pidmap"]


@pytest.mark.parametrize(
    ("allowed", "blocked", "everything", "left"),
    [
        ("", "", True, []),
        ("0000:81:00.0", "", False, ["0000:82:00.0", "5d0505:01:00.0", "x"]),
        ("0000:81:00.0 0000:82:00.0", "0000:82:00.0", False, ["0000:82:00.0", "5d0505:01:00.0", "x"]),
        ("0000:5d:05.5", "", False, ["0000:81:00.0", "0000:82:00.0", "x"]),
        ("", "", False, ["0000:81:00.0", "0000:82:00.0", "5d0505:01:00.0", "x"]),
    ],
)
def test_lock_files_are_removed_by_the_lists(
    tmp_path: Path, allowed: str, blocked: str, everything: bool, left: list[str]
) -> None:
    for name in ("0000:81:00.0", "0000:82:00.0", "5d0505:01:00.0", "x"):
        (tmp_path / f"spdk_pci_lock_{name}").touch()
    (tmp_path / "other").touch()
    huge_pages.clean_lock_files(
        address.parse_list(allowed), address.parse_list(blocked), all_devices=everything, directory=tmp_path
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["other", *(f"spdk_pci_lock_{name}" for name in left)]
    )
