"""What SPDK and huge pages ask of the host, on snapshots of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daos_control.config import memory as memory_rules
from daos_control.config.models import ServerConfig
from daos_control.config.storage import engine_storages
from daos_control.faults import Code, Fault
from daos_control.server import host_checks
from daos_control.server.host_checks import Kernel
from daos_control.storage.memory import MemorySnapshot, NodeMemory
from unit.config.samples import document, nvme, parse, spoil

GOOD = Kernel(iommu=True)
RAM_ONLY = {f"engines.{index}.storage": [{"class": "ram", "scm_mount": f"/m{index}"}] for index in (0, 1)}
NVME = {f"engines.{index}.storage.1": nvme(f"0000:8{index}:00.0") for index in (0, 1)}
NOT_USING_SPDK: dict[str, dict[str, Any]] = {
    "no block devices": RAM_ONLY,
    "embedded engine": {"daos_control": {"embedded_engine": True}},
    "huge pages disabled": {"disable_hugepages": True},
}
REFUSED: dict[str, tuple[Kernel, dict[str, Any], Code, tuple[str, ...]]] = {
    "transparent huge pages": (
        replace(GOOD, transparent_huge_pages="madvise"), NVME, Code.SERVER_TRANSPARENT_HUGEPAGE_ENABLED,
        ('"madvise"', '"never"', "allow_thp", "transparent_hugepage=never"),
    ),
    "transparent huge pages, files": (
        replace(GOOD, transparent_huge_pages="always"), {}, Code.SERVER_TRANSPARENT_HUGEPAGE_ENABLED, ("always",),
    ),
    "no IOMMU": (
        replace(GOOD, iommu=False), NVME, Code.SERVER_IOMMU_DISABLED, ("/sys/class/iommu", "intel_iommu=on"),
    ),
    "no VFIO": (GOOD, NVME | {"disable_vfio": True}, Code.SERVER_VFIO_DISABLED, ("disable_vfio",)),
}  # fmt: skip


def config(changes: dict[str, Any]) -> ServerConfig:
    return parse(spoil(document(2), changes))


@pytest.mark.parametrize("case", REFUSED)
def test_what_spdk_does_not_work_with_is_refused_and_explained(case: str) -> None:
    kernel, changes, code, words = REFUSED[case]
    with pytest.raises(Fault) as caught:
        host_checks.check_kernel(config(changes), kernel)
    assert caught.value.code == code
    assert all(word in caught.value.description + caught.value.resolution for word in words)


@pytest.mark.parametrize("case", NOT_USING_SPDK)
def test_who_does_not_use_spdk_is_not_asked_for_what_it_needs(case: str) -> None:
    host_checks.check_kernel(config(NOT_USING_SPDK[case]), Kernel(transparent_huge_pages="always"))


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [
        (GOOD, NVME),
        (Kernel(is_root=True), NVME | {"disable_vfio": True}),
        (Kernel(), {}),
        (replace(GOOD, transparent_huge_pages="always"), {"allow_thp": True}),
    ],
)
def test_a_host_that_has_what_is_needed_passes(kernel: Kernel, changes: dict[str, Any]) -> None:
    host_checks.check_kernel(config(changes), kernel)


def test_the_kernel_is_read_and_one_without_the_settings_has_neither(tmp_path: Path) -> None:
    assert not Kernel.snapshot(tmp_path).iommu
    assert Kernel.snapshot(tmp_path).transparent_huge_pages == "never"
    setting = tmp_path / "sys/kernel/mm/transparent_hugepage/enabled"
    setting.parent.mkdir(parents=True)
    setting.write_text("always [madvise] never\n")
    (tmp_path / "sys/class/iommu/dmar0").mkdir(parents=True)
    assert Kernel.snapshot(tmp_path).iommu
    assert Kernel.snapshot(tmp_path).transparent_huge_pages == "madvise"


def pages(*free: int) -> MemorySnapshot:
    nodes = tuple(NodeMemory(node, huge_free=count) for node, count in enumerate(free))
    return MemorySnapshot(huge_free=sum(free), huge_page_kib=2048, nodes=nodes)


def shortage(now: MemorySnapshot, changes: dict[str, Any] | None = None, *, node: int = 0) -> str:
    made = config(changes or {})
    return host_checks.missing_huge_pages(made, engine_storages(made)[0], node, now)


def test_huge_pages_must_be_free_on_the_node_of_the_engine_not_only_on_another() -> None:
    need = config({}).engines[0].targets * memory_rules.HUGE_BYTES_PER_TARGET // (2 << 20)
    assert shortage(pages(need, 0)) == ""
    for now, node in ((pages(need - 1, 9999), 0), (pages(9999, 17), 1)):
        text = shortage(now, node=node)
        assert f"{now.nodes[node].huge_free} huge pages of 2048 KiB are free on NUMA node {node}" in text
        assert f"need {need}" in text
        assert "nr_hugepages" in text


def test_a_kernel_without_numa_counts_as_one_node() -> None:
    assert "on this host" in shortage(MemorySnapshot(huge_free=1, huge_page_kib=2048))


@pytest.mark.parametrize("case", NOT_USING_SPDK)
def test_who_uses_no_huge_pages_lacks_none(case: str) -> None:
    assert shortage(pages(0), NOT_USING_SPDK[case]) == ""


def test_engines_spread_unevenly_over_nodes_are_refused_unless_that_is_allowed() -> None:
    three = parse(document(3))
    with pytest.raises(Fault, match="2 on node 0, 1 on node 1") as caught:
        memory_rules.huge_page_nodes(three, [0, 0, 1])
    assert caught.value.code == Code.SERVER_CONFIG_ENGINE_NUMA_IMBALANCE
    assert "allow_numa_imbalance" in caught.value.resolution
    assert memory_rules.huge_page_nodes(config({}), [0, 1]) == [0, 1]
