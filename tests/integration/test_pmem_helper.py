"""Persistent memory through the real helper, on hosts whose ipmctl and ndctl are programs that keep state."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage import mounts
from daos_control.storage.pmem.model import State
from daos_control.storage.pmem.operations import Pmem
from integration import pmem_host
from integration.pmem_host import GIB, PmemHost
from integration.storage_devices import release, run

pytestmark = [pytest.mark.root, pytest.mark.asyncio]
Make = Callable[..., PmemHost]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    def one(**options: object) -> PmemHost:
        host = pmem_host.make(tmp_path, **options)  # type: ignore[arg-type]
        monkeypatch.setenv("PATH", pmem_host.search_path(host))
        return host

    try:
        yield one
    finally:
        release(tmp_path)


def code_of(fault: pytest.ExceptionInfo[Fault]) -> int:
    return fault.value.code


def mkfs(device: Path, label: str) -> None:
    run("mkfs.ext4", "-q", "-L", label, os.fspath(device))


def prepared(host: PmemHost, *, namespaces: int = 1) -> Pmem:
    """Optane memory as it is after prepare, reboot, prepare."""
    devices = iter(host.state["devices"])
    regions = {f"region{socket}": pmem_host.region(socket) for socket in (0, 1)}
    made = {
        f"namespace{socket}.{number}": pmem_host.namespace(socket, next(devices), size=8 * GIB // namespaces)
        for socket in (0, 1)
        for number in range(namespaces)
    }
    host.change(regions=regions, namespaces=made)
    return Pmem(host.helper)


# Scan


async def test_a_scan_tells_modules_and_then_namespaces(make: Make) -> None:
    host = make()
    pmem = Pmem(host.helper)
    found = await pmem.scan(in_config=True)
    assert [(m.socket_id, m.uid, m.capacity) for m in found.modules] == [
        (0, "8089-a2-0000", 4 * GIB),
        (1, "8089-a2-0001", 4 * GIB),
    ]
    assert found.namespaces == ()
    prepared(host)
    found = await pmem.scan(socket=1, in_config=True)
    assert [(n.name, n.numa_node, n.size) for n in found.namespaces] == [("namespace1.0", 1, 8 * GIB)]
    assert len(found.modules) == 1


async def test_a_host_without_modules_has_an_empty_scan_and_nothing_to_prepare(make: Make) -> None:
    host = make(sockets=(), devices=0)
    pmem = Pmem(host.helper)
    found = await pmem.scan(in_config=True)
    assert (found.modules, found.namespaces) == ((), ())
    for reply in (await pmem.prepare(socket=None), await pmem.reset(socket=None, force=True)):
        assert reply.socket.state == State.NO_MODULES
    assert host.changes() == []


async def test_a_version_of_ipmctl_that_does_wrong_is_fault_2_where_the_memory_is_meant_to_be_used(
    make: Make,
) -> None:
    host = make(devices=0)
    host.change(version="02.00.00.3814")
    with pytest.raises(Fault, match=r"02\.00\.00\.3814") as caught:
        await Pmem(host.helper).scan(in_config=True)
    assert code_of(caught) == Code.BAD_VERSION_SOFTWARE_DEPENDENCY
    with pytest.raises(Fault) as caught:
        await Pmem(host.helper).prepare(socket=None)
    assert code_of(caught) == Code.BAD_VERSION_SOFTWARE_DEPENDENCY
    found = await Pmem(host.helper).scan(in_config=False)
    assert found.modules == ()


async def test_without_ndctl_modules_cannot_be_used_fault_1(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make(devices=0)
    (host.programs / "ndctl").unlink()
    hidden = host.home / "usr"
    hidden.mkdir()
    (hidden / "ipmctl").symlink_to(host.programs / "ipmctl")
    # The machine's own ndctl lies where the helper always looks.
    text = (host.home / "daos_server_helper").read_text()
    patched = text.replace(
        "from daos_control.cli.helper",
        "from daos_control.storage.pmem import programs\n"
        f"programs.search_path = lambda: {os.fspath(host.programs)!r}\nfrom daos_control.cli.helper",
    )
    (host.home / "daos_server_helper").write_text(patched)
    with pytest.raises(Fault, match="ndctl is not installed") as caught:
        await Pmem(host.helper).scan(in_config=True)
    assert code_of(caught) == Code.MISSING_SOFTWARE_DEPENDENCY


async def test_garbage_from_a_program_is_fault_208_with_what_it_said(make: Make) -> None:
    host = make(devices=0)
    (host.programs / "ndctl").write_text("#!/bin/sh\necho '{\"dev\": broken'\n")
    with pytest.raises(Fault, match="broken") as caught:
        await Pmem(host.helper).scan(in_config=True)
    assert code_of(caught) == Code.SCM_DISCOVERY_FAILED


# Prepare


async def test_optane_is_prepared_with_a_reboot_between_and_again_without_effect(make: Make) -> None:
    host = make()
    pmem = Pmem(host.helper)

    first = await pmem.prepare(socket=None, namespaces=2)
    assert (first.socket.state, first.reboot_required, first.namespaces) == (State.NO_REGIONS, True, ())
    goals = ["ipmctl delete -goal", "ipmctl create -f -goal PersistentMemoryType=AppDirect"]
    assert host.changes() == goals
    again = await pmem.prepare(socket=None, namespaces=2)
    assert again == first
    assert host.changes() == goals

    host.reboot()
    second = await pmem.prepare(socket=None, namespaces=2)
    assert (second.socket.state, second.reboot_required) == (State.NO_FREE_CAPACITY, False)
    assert [n.name for n in second.namespaces] == [f"namespace{s}.{n}" for s in (0, 1) for n in (0, 1)]
    create = "ndctl create-namespace --region region{} --size " + str(4 * GIB)
    assert host.changes() == ["ipmctl delete -goal", *[create.format(socket) for socket in (0, 0, 1, 1)]]

    third = await pmem.prepare(socket=None, namespaces=2)
    assert third == second
    assert host.changes() == ["ipmctl delete -goal"]


async def test_one_socket_is_prepared_and_the_other_left_alone(make: Make) -> None:
    host = make()
    pmem = Pmem(host.helper)
    await pmem.prepare(socket=1)
    assert host.changes() == [
        "ipmctl delete -goal -socket 1",
        "ipmctl create -f -goal -socket 1 PersistentMemoryType=AppDirect",
    ]
    host.reboot()
    reply = await pmem.prepare(socket=1)
    assert (reply.socket.socket_id, reply.socket.state) == (1, State.NO_FREE_CAPACITY)
    assert list(host.state["namespaces"]) == ["namespace1.0"]


async def test_another_number_of_namespaces_than_there_are_is_fault_213_and_removes_nothing(make: Make) -> None:
    host = make()
    pmem = prepared(host, namespaces=2)
    with pytest.raises(Fault, match="has 2 namespaces, where 1") as caught:
        await pmem.prepare(socket=None)
    assert code_of(caught) == Code.SCM_INVALID_PMEM
    assert host.changes() == ["ipmctl delete -goal"]


@pytest.mark.parametrize(("kind", "says"), [("AppDirectNotInterleaved", "not interleaved"), ("Volatile", "mode")])
async def test_regions_that_cannot_be_used_are_fault_212_before_anything_is_changed(
    make: Make, kind: str, says: str
) -> None:
    host = make(devices=0)
    host.change(regions={"region0": pmem_host.region(0), "region1": pmem_host.region(1, kind=kind)})
    with pytest.raises(Fault, match=f"socket 1 .*{says}") as caught:
        await Pmem(host.helper).prepare(socket=None)
    assert code_of(caught) == Code.SCM_BAD_REGION
    assert host.changes() == []


async def test_a_prepare_that_failed_between_two_namespaces_is_finished_by_the_next(make: Make) -> None:
    host = make(sockets=(0,))
    pmem = Pmem(host.helper)
    await pmem.prepare(socket=None)
    host.reboot()
    regions = host.state["regions"]
    half = pmem_host.namespace(0, host.state["devices"][0], size=4 * GIB)
    host.change(namespaces={"namespace0.0": half}, fail_next="create-namespace")
    with pytest.raises(Fault, match=r"ndctl create-namespace.*No such device") as caught:
        await pmem.prepare(socket=None, namespaces=2)
    assert code_of(caught) == Code.SCM_INVALID_PMEM
    reply = await pmem.prepare(socket=None, namespaces=2)
    assert [n.name for n in reply.namespaces] == ["namespace0.0", "namespace0.1"]
    assert host.state["regions"] == regions


@pytest.mark.parametrize("kill", ["delete_goals:after", "create_goals:after", "create:before", "create:after"])
async def test_a_prepare_killed_at_any_step_ends_the_same_when_run_again(
    make: Make, kill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make(sockets=(0,))
    pmem = Pmem(host.helper)
    if kill.startswith("create:"):
        await pmem.prepare(socket=None, namespaces=2)
        host.reboot()
    with monkeypatch.context() as patch:
        patch.setenv("DAOS_CONTROL_TEST_KILL_AT", f"scm_prepare:{kill}")
        with pytest.raises(Fault, match="signal 9"):
            await pmem.prepare(socket=None, namespaces=2)
    reply = await pmem.prepare(socket=None, namespaces=2)
    if reply.reboot_required:
        host.reboot()
        reply = await pmem.prepare(socket=None, namespaces=2)
    assert [(n.name, n.size) for n in reply.namespaces] == [("namespace0.0", 4 * GIB), ("namespace0.1", 4 * GIB)]


# Reset


async def test_optane_is_reset_to_no_namespaces_and_goals_for_new_regions(make: Make) -> None:
    host = make()
    pmem = prepared(host)
    reply = await pmem.reset(socket=None)
    assert (reply.socket.state, reply.reboot_required) == (State.NO_FREE_CAPACITY, True)
    assert host.changes() == [
        "ipmctl delete -goal",
        *[f"ndctl {verb}-namespace namespace{n}.0" for n in (0, 1) for verb in ("disable", "destroy")],
        "ipmctl create -f -goal PersistentMemoryType=AppDirect",
    ]
    host.reboot()
    reply = await pmem.prepare(socket=None, namespaces=2)
    assert len(reply.namespaces) == 4


async def test_daos_own_file_system_is_removed_and_a_foreign_one_only_with_force(make: Make) -> None:
    host = make()
    pmem = prepared(host)
    mkfs(host.device("namespace0.0"), "daos")
    mkfs(host.device("namespace1.0"), "precious")
    before = host.device("namespace1.0").read_bytes()

    with pytest.raises(Fault, match=r"namespace1\.0 .*precious") as caught:
        await pmem.reset(socket=None)
    assert code_of(caught) == Code.STORAGE_ALREADY_FORMATTED
    assert host.changes() == []
    assert host.device("namespace1.0").read_bytes() == before

    await pmem.reset(socket=0)
    assert list(host.state["namespaces"]) == ["namespace1.0"]
    await pmem.reset(socket=None, force=True)
    assert host.state["namespaces"] == {}


async def test_a_mounted_namespace_is_removed_only_with_force_and_never_while_it_is_busy(make: Make) -> None:
    host = make()
    pmem = prepared(host)
    device = host.device("namespace0.0")
    mkfs(device, "daos")
    target = host.home / "mounted"
    target.mkdir()
    mounts.mount(os.fspath(device), target, "ext4", 0, "")

    with pytest.raises(Fault, match=f"mounted at {target}") as caught:
        await pmem.reset(socket=None)
    assert code_of(caught) == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    assert host.changes() == []

    with (target / "open").open("w"):
        with pytest.raises(Fault, match="a process uses it"):
            await pmem.reset(socket=None, force=True)
        assert len(host.state["namespaces"]) == 2
    await pmem.reset(socket=None, force=True)
    assert mounts.at(target) is None
    assert host.state["namespaces"] == {}


async def test_a_namespace_in_use_by_something_else_is_never_removed(make: Make) -> None:
    host = make()
    pmem = prepared(host)
    held = os.open(host.device("namespace1.0"), os.O_RDONLY | os.O_EXCL)
    try:
        with pytest.raises(Fault, match=r"namespace1\.0 is in use") as caught:
            await pmem.reset(socket=None, force=True)
    finally:
        os.close(held)
    assert code_of(caught) == Code.STORAGE_DEVICE_ALREADY_MOUNTED
    assert host.changes() == []


@pytest.mark.parametrize("step", ["delete_goals", "unmount", "disable", "destroy", "create_goals"])
async def test_a_reset_killed_at_any_step_ends_the_same_when_run_again(
    make: Make, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make()
    pmem = prepared(host)
    mkfs(host.device("namespace0.0"), "daos")
    target = host.home / "mounted"
    target.mkdir()
    mounts.mount(os.fspath(host.device("namespace0.0")), target, "ext4", 0, "")
    with monkeypatch.context() as patch:
        patch.setenv("DAOS_CONTROL_TEST_KILL_AT", f"scm_reset:{step}:after")
        with pytest.raises(Fault, match="signal 9"):
            await pmem.reset(socket=None, force=True)
    reply = await pmem.reset(socket=None, force=True)
    assert reply.reboot_required
    assert host.state["namespaces"] == {}
    assert host.state["goals"] == [0, 1]


async def test_a_disabled_namespace_is_looked_at_before_it_is_removed(make: Make) -> None:
    host = make()
    pmem = prepared(host)
    mkfs(host.device("namespace1.0"), "precious")
    run(os.fspath(host.programs / "ndctl"), "disable-namespace", "namespace1.0")
    host.changes()
    with pytest.raises(Fault, match="precious"):
        await pmem.reset(socket=None)
    assert host.changes() == ["ndctl enable-namespace namespace1.0"]


# Modules of other kinds


async def test_other_modules_need_no_ipmctl_and_no_reboot(make: Make) -> None:
    host = make(optane=False)
    pmem = Pmem(host.helper)
    found = await pmem.scan(in_config=True)
    assert [(m.uid, m.socket_id, m.capacity) for m in found.modules] == [
        ("8680-0000", 0, 8 * GIB),
        ("8680-0001", 1, 8 * GIB),
    ]
    reply = await pmem.prepare(socket=None, namespaces=2)
    assert (reply.reboot_required, len(reply.namespaces)) == (False, 4)
    reply = await pmem.reset(socket=1)
    assert (reply.socket.socket_id, reply.socket.state, reply.reboot_required) == (1, State.FREE_CAPACITY, False)
    assert list(host.state["namespaces"]) == ["namespace0.0", "namespace0.1"]


@pytest.mark.parametrize("killed", [None, "label_region:before", "label_region:after", "create:after"])
async def test_modules_without_labels_are_labelled(
    make: Make, killed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make(optane=False, sockets=(0,))
    unlabelled(host)
    pmem = Pmem(host.helper)
    if killed:
        with monkeypatch.context() as patch:
            patch.setenv("DAOS_CONTROL_TEST_KILL_AT", f"scm_prepare:{killed}")
            with pytest.raises(Fault, match="signal 9"):
                await pmem.prepare(socket=None, namespaces=2)
    reply = await pmem.prepare(socket=None, namespaces=2)
    assert [(n.name, n.mode, n.size) for n in reply.namespaces] == [
        ("namespace0.0", "fsdax", 4 * GIB),
        ("namespace0.1", "fsdax", 4 * GIB),
    ]


async def test_what_is_on_modules_without_labels_is_not_destroyed_without_force(make: Make) -> None:
    host = make(optane=False, sockets=(0,))
    unlabelled(host)
    mkfs(host.device("namespace0.0"), "precious")
    with pytest.raises(Fault, match="precious") as caught:
        await Pmem(host.helper).prepare(socket=None)
    assert code_of(caught) == Code.STORAGE_ALREADY_FORMATTED
    assert host.changes() == []
    reply = await Pmem(host.helper).prepare(socket=None, force=True)
    assert len(reply.namespaces) == 1


async def test_a_region_left_disabled_is_enabled_and_prepared(make: Make) -> None:
    host = make(optane=False, sockets=(0,))
    host.change(regions={"region0": pmem_host.region(0, enabled=False)})
    reply = await Pmem(host.helper).prepare(socket=None)
    assert len(reply.namespaces) == 1


def unlabelled(host: PmemHost) -> None:
    """As the kernel shows a module whose label area is blank."""
    host.change(
        regions={"region0": pmem_host.region(0, unlabelled=True)},
        namespaces={"namespace0.0": pmem_host.namespace(0, host.state["devices"][0], mode="raw", uuid="")},
    )


# Firmware


async def test_firmware_is_told_for_each_module_with_why_it_cannot_be(make: Make, tmp_path: Path) -> None:
    host = make(devices=0)
    pmem = Pmem(host.helper)
    reply = await pmem.query_firmware(uids=["8089-a2-0001", "unknown"])
    [result] = reply.results
    assert (result.module.uid, result.info) == ("8089-a2-0001", None)
    assert "libipmctl is not installed" in result.error
    image = tmp_path / "firmware.bin"
    image.write_bytes(b"image")
    update = await pmem.update_firmware(os.fspath(image), model="nmb1")
    assert [bool(r.error) for r in update.results] == [True, True]
    with pytest.raises(Fault) as caught:
        await pmem.update_firmware(os.fspath(image), revision="other")
    assert code_of(caught) == Code.SCM_NO_DEVICES_MATCH_FILTER
    with pytest.raises(Fault) as caught:
        await pmem.query_firmware(uids=["a", "a"])
    assert code_of(caught) == Code.SCM_DUPLICATES_IN_DEVICE_LIST


# The command. Other servers on this machine are none of its business here.

ALONE = (
    "from daos_control.cli import daos_server, daos_server_scm\n"
    "daos_server_scm.running_server = lambda: None\n"
    "daos_server.main()\n"
)


def daos_server(host: PmemHost, *words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    config = host.home / "server.yml"
    config.write_text(
        "name: daos_server\nmgmt_svc_replicas: [localhost]\nprovider: ofi+tcp\n"
        "transport_config: {allow_insecure: true}\n"
        "engines:\n- targets: 1\n  fabric_iface: lo\n  fabric_iface_port: 31416\n  pinned_numa_node: 1\n"
        "  storage: [{class: dcpm, scm_mount: /mnt/daos0, scm_list: [/dev/pmem0]}]\n"
        f"daos_control: {{helper_binary: {host.home}/daos_server_helper}}\n"
    )
    command = [sys.executable, "-c", ALONE, "scm", *words, "-o", os.fspath(config)]
    return subprocess.run(command, input=answer, capture_output=True, text=True, timeout=60)


async def test_the_command_asks_prepares_scans_and_resets(make: Make) -> None:
    host = make(optane=False)

    done = daos_server(host, "prepare", answer="no\n")
    assert (done.returncode, host.changes()) == (1, [])
    assert "consent not given" in done.stderr

    done = daos_server(host, "prepare", "-S", "2", answer="maybe\nyes\n")
    assert done.returncode == 0, done.stderr
    one, two = host.state["devices"][:2]
    rows = "".join(f"{name:<13} 1      4.3 GB   \n" for name in sorted((one, two)))
    assert done.stdout.endswith(f"SCM Namespace Socket Capacity \n------------- ------ -------- \n{rows}\n")
    assert {n["node"] for n in host.state["namespaces"].values()} == {1}  # the socket that the configuration means

    done = daos_server(host, "scan", "--json", "--socket", "1")
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["error"]) == (0, 0, None)
    assert sorted(n["blockdev"] for n in found["response"]) == sorted((one, two))
    assert found["response"][0]["mount"] is None

    done = daos_server(host, "prepare", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (
        1,
        "JSON output only supported with force option",
    )

    log = host.home / "helper.log"
    done = daos_server(host, "reset", "--force", "-l", os.fspath(log))
    assert done.returncode == 0, done.stderr
    assert host.state["namespaces"] == {}
    assert "running ndctl destroy-namespace namespace1.0" in log.read_text()


async def test_the_command_says_that_a_reboot_is_needed(make: Make) -> None:
    host = make(devices=0)
    done = daos_server(host, "prepare", "--force")
    assert done.returncode == 0, done.stderr
    assert "Reboot this host" in done.stdout
    host.reboot()
    done = daos_server(host, "reset", "--force", "--json")
    assert json.loads(done.stdout) == {"response": None, "error": None, "status": 0}
    assert host.state["goals"] == [1]


async def test_the_command_fails_with_fault_211_where_there_are_no_modules(make: Make) -> None:
    host = make(sockets=(), devices=0)
    for words in (("prepare", "--force"), ("reset", "--force")):
        done = daos_server(host, *words)
        assert (done.returncode, "code = 211" in done.stderr) == (1, True)
