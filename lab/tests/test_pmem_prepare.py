"""The product prepares and resets persistent memory: modules with labels, which take no ipmctl and no reboot."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import devices, mounts, namespaces
from daos_control.storage.api import Class, EngineStorage, ScmState, ScmTier
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from daos_control.storage.pmem.model import Namespace, State
from daos_control.storage.pmem.operations import Pmem
from lab.hardware import NODES, NVDIMMS
from lab.tests import dax
from lab.tests.commands import run, wait_until

pytestmark = pytest.mark.usefixtures("blank_pmem")

MIB = 1 << 20
NFIT_DRIVER = Path("/sys/bus/acpi/drivers/nfit")


@pytest.fixture
def pmem() -> Pmem:
    """Through the helper in a process of its own."""
    return Pmem(HelperClient())


async def prepared(pmem: Pmem, node: int | None = None, *, count: int = 1, blank: bool = True) -> list[Namespace]:
    """Namespaces made by the product. What was in the memory before is still there, unless it is made blank."""
    reply = await pmem.prepare(socket=node, namespaces=count)
    assert (reply.socket.state, reply.reboot_required) == (State.NO_FREE_CAPACITY, False)
    for namespace in reply.namespaces:
        wait_until(device_of(namespace).exists, namespace.block_device)
        if blank:
            run("wipefs", "--all", "--quiet", os.fspath(device_of(namespace)))
    return list(reply.namespaces)


def device_of(namespace: Namespace) -> Path:
    return Path("/dev") / namespace.block_device


@pytest.mark.asyncio
async def test_the_scan_tells_the_modules_with_their_nodes_and_sizes(pmem: Pmem) -> None:
    found = await pmem.scan(in_config=True)
    assert [module.socket_id for module in found.modules] == list(NODES)
    for module, nvdimm in zip(found.modules, NVDIMMS, strict=True):
        assert 0.9 * nvdimm.size_mib * MIB < module.capacity <= nvdimm.size_mib * MIB
        assert module.uid
        assert module.health_state == "Healthy"
    assert found.namespaces == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_each_region_gets_its_namespaces_with_dax_and_again_changes_nothing(pmem: Pmem, count: int) -> None:
    made = await prepared(pmem, count=count)

    assert sorted(n.numa_node for n in made) == sorted(NODES * count)
    for namespace in made:
        assert devices.inspect(device_of(namespace)).dax
        assert namespace.mode == "fsdax"
    seen = {(n.block_device, n.uuid, n.size_bytes, n.numa_node) for n in namespaces.scan(())}
    assert seen == {(n.block_device, n.uuid, n.size, n.numa_node) for n in made}
    assert await prepared(pmem, count=count, blank=False) == made
    assert (await pmem.scan(in_config=True)).namespaces == tuple(made)


@pytest.mark.asyncio
async def test_one_node_is_prepared_and_reset_without_the_other(pmem: Pmem) -> None:
    [first] = await prepared(pmem, 0)
    [second] = await prepared(pmem, 1)
    assert (first.numa_node, second.numa_node) == (0, 1)

    reply = await pmem.reset(socket=0)

    assert (reply.socket.socket_id, reply.socket.state, reply.reboot_required) == (0, State.FREE_CAPACITY, False)
    assert [n.device for n in namespaces.scan(())] != []
    assert {n.numa_node for n in namespaces.scan(())} == {1}


@pytest.mark.asyncio
async def test_another_number_than_there_is_removes_nothing(pmem: Pmem) -> None:
    made = await prepared(pmem, 0, count=2)
    with pytest.raises(Fault, match="has 2 namespaces") as caught:
        await pmem.prepare(socket=0, namespaces=1)
    assert caught.value.code == Code.SCM_INVALID_PMEM
    assert (await pmem.scan(socket=0)).namespaces == tuple(made)


@pytest.mark.asyncio
@pytest.mark.parametrize("kill", ["create:after", "label_region:after"])
async def test_a_prepare_that_was_killed_is_finished_by_the_next(
    pmem: Pmem, kill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kill.startswith("label"):
        zero_labels()
    with monkeypatch.context() as patch:
        patch.setenv("DAOS_CONTROL_TEST_KILL_AT", f"scm_prepare:{kill}")
        with pytest.raises(Fault, match="signal 9"):
            await pmem.prepare(socket=0, namespaces=2)
    assert len(await prepared(pmem, 0, count=2)) == 2


@pytest.mark.asyncio
async def test_modules_whose_labels_are_blank_are_labelled_unless_something_is_on_them(pmem: Pmem) -> None:
    """As a module comes from the factory: the kernel makes one raw namespace of all of it."""
    zero_labels()
    [raw] = raw_of(0)
    run("mkfs.ext2", "-q", "-L", "precious", os.fspath(raw))

    with pytest.raises(Fault, match="precious") as caught:
        await pmem.prepare(socket=0, namespaces=2)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED

    run("wipefs", "--all", "--quiet", os.fspath(raw))
    assert len(await prepared(pmem, 0, count=2)) == 2


def zero_labels() -> None:
    """Blank label areas, and a kernel that sees the modules for the first time: one that has seen labels on a
    module goes on to think of it as labelled."""
    run("ndctl", "disable-region", "all")
    run("ndctl", "disable-dimm", "all")
    run("ndctl", "zero-labels", "all")
    [device] = NFIT_DRIVER.glob("ACPI0012:*")
    (NFIT_DRIVER / "unbind").write_text(device.name)
    (NFIT_DRIVER / "bind").write_text(device.name)
    for node in NODES:
        wait_until(lambda node=node: bool(raw_of(node)), f"the raw namespace of node {node}")  # type: ignore[misc]


def raw_of(node: int) -> list[Path]:
    return [Path("/dev") / n.block_device for n in namespaces.scan(()) if n.numa_node == node]


@pytest.mark.asyncio
async def test_what_prepare_makes_takes_an_engines_scm_and_reset_asks_for_force_while_it_is_mounted(
    pmem: Pmem, manager: StorageManager, area: Path
) -> None:
    [namespace] = await prepared(pmem, 0)
    storage = EngineStorage(0, ScmTier(Class.DCPM, area / "daos0", device=device_of(namespace)), ())
    await manager.format_scm(storage, force=False)
    assert await manager.scm_state(storage) is ScmState.MOUNTED
    file = storage.scm.mount / "file"
    file.write_bytes(bytes(2 << 20))
    assert dax.attribute(file)

    with pytest.raises(Fault, match="mounted at") as caught:
        await pmem.reset(socket=0)
    assert caught.value.code == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    with file.open("rb"), pytest.raises(Fault, match="a process uses it"):
        await pmem.reset(socket=0, force=True)
    assert file.exists()

    await pmem.reset(socket=0, force=True)
    assert mounts.at(storage.scm.mount) is None
    assert namespaces.scan(()) == ()


@pytest.mark.asyncio
async def test_a_foreign_file_system_keeps_a_reset_from_removing_anything_without_force(pmem: Pmem) -> None:
    first, second = await prepared(pmem)
    run("mkfs.xfs", "-q", "-L", "precious", "-m", "reflink=0", os.fspath(device_of(second)))
    with pytest.raises(Fault, match="precious") as caught:
        await pmem.reset(socket=None)
    assert caught.value.code == Code.STORAGE_ALREADY_FORMATTED
    assert {n.block_device for n in namespaces.scan(())} == {first.block_device, second.block_device}
    run("xfs_repair", "-n", os.fspath(device_of(second)))
    await pmem.reset(socket=None, force=True)
    assert namespaces.scan(()) == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("kill", ["disable:after", "destroy:after"])
async def test_a_reset_that_was_killed_is_finished_by_the_next(
    pmem: Pmem, kill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepared(pmem, count=2)
    with monkeypatch.context() as patch:
        patch.setenv("DAOS_CONTROL_TEST_KILL_AT", f"scm_reset:{kill}")
        with pytest.raises(Fault, match="signal 9"):
            await pmem.reset(socket=None)
    await pmem.reset(socket=None)
    assert namespaces.scan(()) == ()
    assert len(await prepared(pmem, count=1)) == 2


def test_the_command_prepares_scans_and_resets() -> None:
    def daos_server(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "daos_control.cli.daos_server", "scm", *words, "--ignore-config"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    done = daos_server("scan")
    assert "8680-" in done.stdout, done.stderr
    done = daos_server("prepare", "--force")
    assert done.returncode == 0, done.stderr
    found = json.loads(daos_server("scan", "--json").stdout)["response"]
    assert sorted(n["numa_node"] for n in found) == list(NODES)
    done = daos_server("reset", "--force")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "PMem has been reset successfully!")
    assert namespaces.scan(()) == ()
