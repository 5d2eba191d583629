"""`daos_server nvme`: NVMe devices of this host, without a running server.

Tables and JSON are those of DAOS, byte for byte; the other texts are ours.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from daos_control.faults import Fault
from daos_control.faults import storage as faults
from daos_control.server.helper import helper_client
from daos_control.server.nvme_preparation import running_user
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.nvme import address, huge_pages
from daos_control.storage.nvme import host as host_facts
from daos_control.storage.nvme.controller import NvmeController
from daos_control.storage.nvme.messages import BdevPrepare
from daos_control.storage.nvme.operations import Nvme, check_access

if TYPE_CHECKING:
    from daos_control.client import storage_types
    from daos_control.config.models import ServerConfig

T = TypeVar("T")

CHOICE: Final = ("pci_allow_list", "pci_block_list", "target_user", "disable_vfio")
"""The parameters of the command line that make a `Wanted`, in its order."""

_HUGE_NODE: Final = 0  # which nodes engines use is not known here


@dataclass(frozen=True, slots=True)
class Wanted:
    """Devices as on the command line: lists with commas, empty for all and for none; the user, empty for whoever
    runs the command."""

    allowed: str = ""
    blocked: str = ""
    user: str = ""
    disable_vfio: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """What all commands are given; without a configuration, all is as on the command line."""

    config: "ServerConfig | None"
    json: bool
    log_file: str | None = None

    def say(self, text: str) -> None:
        if not self.json:
            click.echo(text)

    def run(self, work: Callable[[Nvme], Coroutine[Any, Any, T]]) -> T:
        """Do something with the helper of this installation. Its log goes to the file asked for, else nowhere."""
        log = logging.getLogger("daos_control")
        handler = logging.FileHandler(self.log_file) if self.log_file else logging.NullHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        return asyncio.run(_with_helper(helper_client(self.config), work))

    def configured(self) -> str:
        """The devices that the configuration gives to engines."""
        if self.config is None:
            return ""
        tiers = [tier for engine in self.config.engines for tier in engine.bdevs if tier.class_ == "nvme"]
        return " ".join(str(device) for tier in tiers for device in tier.bdev_list)

    def request(self, wanted: Wanted) -> BdevPrepare:
        """What to ask of the helper. Faults 107, 303, 310 and 311."""
        config = self.config
        if config is not None and config.disable_hugepages:
            raise faults.hugepages_disabled("the use of NVMe devices")
        allowed, blocked = wanted.allowed, wanted.blocked
        disable_vfio, disable_vmd = wanted.disable_vfio, False
        if config is not None:
            allowed = allowed or self.configured()
            blocked = blocked or " ".join(str(device) for device in config.bdev_exclude)
            disable_vfio = disable_vfio or config.disable_vfio
            disable_vmd = config.disable_vmd
        user = wanted.user or running_user()
        iommu = host_facts.iommu()
        check_access(user, disable_vfio=disable_vfio, iommu=iommu)
        return BdevPrepare(
            pci_allow_list=address.join(address.parse_list(allowed)),
            pci_block_list=address.join(address.parse_list(blocked)),
            target_user=user,
            disable_vfio=disable_vfio,
            enable_vmd=iommu and not disable_vfio and not disable_vmd,
        )


async def _with_helper(helper: HelperClient, work: Callable[[Nvme], Coroutine[Any, Any, T]]) -> T:
    await helper.check()
    return await work(Nvme(helper))


def prepare(site: Site, wanted: Wanted, *, pages: int) -> None:
    """Clean up, allocate huge pages, bind the devices. Raises Fault or ControlError."""
    request = site.request(wanted)
    site.run(lambda nvme: _prepare(nvme, request, pages))


def reset(site: Site, wanted: Wanted) -> None:
    """Clean up, and give the devices back. Raises Fault or ControlError."""
    request = site.request(wanted)
    site.run(lambda nvme: _reset(nvme, request))


def scan(site: Site, *, disable_vmd: bool, skip_prep: bool) -> tuple[NvmeController, ...]:
    """The devices of the configuration, or all. Raises Fault or ControlError; what was prepared for it is given
    back whatever happens."""
    request = site.request(Wanted())
    vmd = not disable_vmd and (site.config is None or not site.config.disable_vmd)
    # The lists of the configuration choose what is prepared; only its devices for engines must be found.
    devices = [str(device) for device in sorted(address.parse_list(site.configured()))]

    async def work(nvme: Nvme) -> tuple[NvmeController, ...]:
        if skip_prep:
            site.say("Scan locally-attached NVMe storage...")
            return await nvme.scan(devices, vmd=vmd)
        await _hinted(_prepare(nvme, replace(request, enable_vmd=request.enable_vmd and vmd), 0))
        try:
            site.say("Scan locally-attached NVMe storage...")
            found = await nvme.scan(devices, vmd=vmd)
        except BaseException:
            with contextlib.suppress(Fault):  # the first failure tells more
                await _reset(nvme, request)
            raise
        await _reset(nvme, request)
        return found

    return site.run(work)


async def _prepare(nvme: Nvme, request: BdevPrepare, count: int) -> None:
    await nvme.clean(allowed=request.pci_allow_list, blocked=request.pci_block_list)
    host = await asyncio.to_thread(host_facts.snapshot)
    nodes = huge_pages.share(max(count, huge_pages.PAGES_FOR_SCAN), [_HUGE_NODE], host)
    await nvme.prepare(replace(request, huge_nodes=nodes))


async def _reset(nvme: Nvme, request: BdevPrepare) -> None:
    await nvme.clean(allowed=request.pci_allow_list, blocked=request.pci_block_list)
    await nvme.reset(request)


async def _hinted(work: Coroutine[Any, Any, None]) -> None:
    """A scan whose preparation failed may still work without."""
    try:
        await work
    except Fault as fault:
        hint = "To look at devices that are prepared already, add --skip-prep."
        raise Fault(
            fault.domain, fault.code, fault.description, f"{fault.resolution} {hint}", fault.reason
        ) from fault


def as_text(found: Sequence[NvmeController]) -> str:
    """The table of `dmg storage scan --verbose`, and an empty line."""
    from daos_control.cli import print_storage

    return print_storage.nvme_controllers(_shown(found)) + "\n"


def as_json(found: Sequence[NvmeController]) -> object:
    """The body of DAOS's JSON: null where there is nothing."""
    from daos_control.cli import gojson

    return gojson.encode(tuple(_shown(found)))


def _shown(found: Iterable[NvmeController]) -> "list[storage_types.NvmeController]":
    """As DAOS has them: it tells neither the vendor nor the kind of bus."""
    from daos_control.client import storage_types as shown

    return [
        shown.NvmeController(
            model=device.model,
            serial=device.serial,
            pci_addr=device.pci_addr,
            fw_rev=device.fw_rev,
            socket_id=device.socket_id,
            health_stats=shown.NvmeHealth(**asdict(device.health_stats)) if device.health_stats else None,
            namespaces=tuple(shown.NvmeNamespace(one.id, one.size) for one in device.namespaces),
        )
        for device in sorted(found, key=lambda device: device.pci_addr)
    ]
