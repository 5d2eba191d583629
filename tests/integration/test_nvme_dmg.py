"""dmg's commands for NVMe devices, end to end: program, handlers of a server, real helper, a tree of a host."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.proto.ctl import smd_pb2
from daos_control.server.ctl_nvme import LedHandler, NvmeHandlers
from daos_control.storage.api import BdevTier, Class, EngineStorage, Role, ScmTier
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from daos_control.storage.nvme.operations import Nvme
from fake_control import FakeControl, fake_control
from fakes.fake_nvme_host import Tree

pytestmark = [pytest.mark.root, pytest.mark.asyncio]

A, B = "0000:81:00.0", "0000:82:00.0"


@dataclass
class Engine:
    """An engine with one device, whose LED shows what it was last told."""

    storage: EngineStorage
    index: int = 0
    rank: int | None = 0
    is_started: bool = True
    is_ready: bool = True
    led: int = smd_pb2.OFF
    minutes: list[int] = field(default_factory=list)

    def change_storage(self, changed: EngineStorage) -> None:
        self.storage = changed

    async def stop(self, how: object) -> None: ...

    def notify_storage_ready(self, replace: bool = False) -> None: ...

    async def wait_until(self, condition: Callable[[Any], bool]) -> None: ...

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        device = smd_pb2.SmdDevice(uuid="u1", ctrlr=smd_pb2.NvmeController(pci_addr=A))
        if method is Method.SMD_LIST_DEVS:
            return smd_pb2.SmdDevResp(devices=[device])
        assert isinstance(request, smd_pb2.LedManageReq)
        if request.led_action == smd_pb2.SET:
            self.led = request.led_state
            self.minutes.append(request.led_duration_mins)
        elif request.led_action == smd_pb2.RESET:
            self.led = smd_pb2.OFF
        device.uuid, device.ctrlr.led_state = "", self.led  # type: ignore[assignment]
        return smd_pb2.DevManageResp(device=device)


@dataclass
class Site:
    """A server on a loopback port, and what it has."""

    tree: Tree
    engine: Engine
    control: FakeControl
    config: Path

    async def dmg(self, *words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "daos_control.cli.dmg", "-o", str(self.config), "storage", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def on_host(self, *words: str) -> tuple[int, str, str]:
        return await self.dmg(*words, "-l", self.control.address)

    def devices(self) -> list[str]:
        """The addresses in daos_nvme.conf."""
        document = json.loads(self.engine.storage.nvme_config_path.read_text())
        calls = [call for part in document["subsystems"] for call in part["config"]]
        return [call["params"]["traddr"] for call in calls if call["method"] == "bdev_nvme_attach_controller"]


@pytest_asyncio.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("DAOS_CONTROL_TEST_ROOT", str(tmp_path / "root"))
    tree = Tree(tmp_path / "root")
    tree.add(A, "vfio-pci")
    tree.add(B, "nvme")
    mount = tmp_path / "scm"
    mount.mkdir()
    storage = EngineStorage(0, ScmTier(Class.RAM, mount), (BdevTier(1, Class.NVME, (A,), roles=Role.DATA),))
    engine = Engine(storage)
    helper = HelperClient()
    handlers = NvmeHandlers([engine], StorageManager(helper, hostname="h"), Nvme(helper))
    leds = LedHandler([engine])

    async def manage(request: smd_pb2.SmdManageReq) -> smd_pb2.SmdManageResp:
        return smd_pb2.SmdManageResp(ranks=await leds.manage(request.led))

    answers = {
        "StorageNvmeRebind": handlers.rebind,
        "StorageNvmeAddDevice": handlers.add_device,
        "SmdManage": manage,
    }
    async with fake_control(answers) as control:
        config = tmp_path / "daos_control.yml"
        config.write_text(f"hostlist: ['{control.address}']\ntransport_config: {{allow_insecure: true}}\n")
        yield Site(tree, engine, control, config)


async def test_a_device_that_was_plugged_in_is_bound_and_handed_to_an_engine(site: Site) -> None:
    with site.tree.kernel():
        assert await site.on_host("nvme-rebind", "-a", B) == (0, "Command completed successfully\n", "")
    assert (site.tree.driver(A), site.tree.driver(B)) == ("vfio-pci", "vfio-pci")
    done = await site.on_host("nvme-add-device", "-e", "0", "-a", B)
    assert done == (0, "Command completed successfully\n", "")
    assert site.devices() == [A, B]
    assert site.engine.storage.bdevs[0].devices == (A, B)


async def test_a_mounted_device_stays_with_the_kernel_and_dmg_says_why(site: Site) -> None:
    site.tree.add("0000:83:00.0", "nvme", disk="nvme0n1")
    site.tree.mount("259:103", "/data", "/dev/nvme0n1p1")
    code, out, err = await site.on_host("nvme-rebind", "-a", "0000:83:00.0")
    assert (code, out, site.tree.driver("0000:83:00.0")) == (1, "", "nvme")
    assert "nvme0n1p1 is mounted at /data" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-e", "1", "-a", B), "engine with index 1 not found"),
        (("-e", "0", "-t", "3", "-a", B), "tier with index 3 not found"),
        (("-e", "0", "-a", "0000:81:40.0"), "is not a PCI address"),
    ],
)
async def test_what_cannot_be_added_is_said_and_nothing_is_written(
    site: Site, words: tuple[str, ...], says: str
) -> None:
    code, out, err = await site.on_host("nvme-add-device", *words)
    assert (code, out) == (1, "")
    assert says in err
    assert not site.engine.storage.nvme_config_path.exists()


async def test_an_led_blinks_is_shown_and_is_put_back(site: Site) -> None:
    def shown(state: str) -> tuple[int, str, str]:
        host = site.control.address.partition(":")[0]
        rule = "-" * len(host)
        return 0, f"{rule}\n{host}\n{rule}\n  Devices\n    TrAddr:{A} LED:{state}\n", ""

    assert await site.dmg("led", "check", "u1") == shown("OFF")
    assert await site.dmg("led", "identify", "--timeout", "5", A) == shown("QUICK_BLINK")
    assert await site.dmg("led", "check") == shown("QUICK_BLINK")
    assert await site.dmg("led", "identify", "--reset", "u1") == shown("OFF")
    assert site.engine.minutes == [5]
    code, _, err = await site.dmg("led", "check", "u2")
    assert (code, "ids requested but not found: ['u2']" in err) == (1, True)
