"""Before engines start: huge pages, and NVMe devices bound to a driver that SPDK can use (lifecycle.md 2.1).

Nothing here stands in the way of the start: an engine that lacks what could not be prepared says so itself.
"""

import logging
import os
import pwd
from collections.abc import Sequence

from daos_control.config import memory as memory_rules
from daos_control.config.models import ServerConfig
from daos_control.faults import ControlError, Fault
from daos_control.storage.api import EngineStorage
from daos_control.storage.nvme import address, huge_pages
from daos_control.storage.nvme import host as host_facts
from daos_control.storage.nvme.host import Host
from daos_control.storage.nvme.messages import BdevPrepare
from daos_control.storage.nvme.operations import Nvme

log = logging.getLogger(__name__)

_EMULATED = frozenset({"file", "kdev"})


def vmd_in_use(config: ServerConfig, host: Host) -> bool:
    """Whether VMDs are driven by SPDK: unless something in the configuration, or the host, is against it."""
    if config.disable_vmd or config.disable_vfio or not host.iommu:
        return False
    if any(tier.class_ in _EMULATED for engine in config.engines for tier in engine.bdevs):
        return False
    return any(device.vmd for device in host.devices)


def request(
    config: ServerConfig, storages: Sequence[EngineStorage], numa_nodes: Sequence[int | None], host: Host
) -> BdevPrepare | None:
    """What to ask of the helper; None where there is nothing to prepare.

    `numa_nodes` are those that the engines run on, None for not bound: they share the huge pages. Raises Fault 303,
    or 728 where engines are spread unevenly.

    Devices are bound only where the configuration names some, or has no engines at all (to look for devices is then
    all that the server is for): a server whose engines use none leaves those of this host to others.
    """
    if config.disable_hugepages or config.daos_control.embedded_engine:
        return None
    if config.engines and not any(storage.bdevs for storage in storages):
        return None
    tiers = [tier for engine in config.engines for tier in engine.bdevs if tier.class_ == "nvme"]
    named = [device for tier in tiers for device in tier.bdev_list]
    nodes = memory_rules.huge_page_nodes(config, numa_nodes)
    return BdevPrepare(
        huge_nodes=huge_pages.share(config.nr_hugepages, nodes, host),
        pci_allow_list=_list(named),
        pci_block_list=_list(config.bdev_exclude),
        target_user=running_user(),
        disable_vfio=config.disable_vfio,
        enable_vmd=vmd_in_use(config, host),
        pages_only=bool(config.engines) and not named,
    )


async def prepare(
    config: ServerConfig, storages: Sequence[EngineStorage], numa_nodes: Sequence[int | None], nvme: Nvme
) -> None:
    """Clean up after dead programs, and prepare; the arguments as in `request`. Failures are logged."""
    try:
        wanted = request(config, storages, numa_nodes, host_facts.snapshot())
        if wanted is None:
            return
        await nvme.clean(allowed=wanted.pci_allow_list, blocked=wanted.pci_block_list)
        await nvme.prepare(wanted)
    except (Fault, ControlError) as error:
        log.error("NVMe devices and huge pages were not prepared: %s", error)
        if isinstance(error, Fault):
            log.error("%s", error.resolution)


def running_user() -> str:
    """The user whose engines are to use the devices."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _list(addresses: Sequence[object]) -> str:
    return address.join(address.parse_list(" ".join(str(one) for one in addresses)))
