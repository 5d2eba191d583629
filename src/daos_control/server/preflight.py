"""What is decided before anything is started: the configuration, held against the host it is to run on.

Each check stands in the way only of a configuration that uses what it is about.
"""

import logging
import os
import socket
import stat
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from daos_control.config import memory as memory_rules
from daos_control.config.device_checks import check_aliases, uses
from daos_control.config.host import HostSnapshot, check_host
from daos_control.config.models import EngineConfig, ServerConfig
from daos_control.config.search import install_dir
from daos_control.config.server import require
from daos_control.config.storage import Hardware, engine_storages, system_database_dir
from daos_control.faults import server as server_faults
from daos_control.network import topology
from daos_control.network.interfaces import Interface, State, interfaces
from daos_control.server import addresses, affinity, engine_binary, host_checks, nvme_preparation, problems
from daos_control.server.addresses import Addresses
from daos_control.server.affinity import Affinity, Placement
from daos_control.server.engine_command import EngineCommand, Surroundings, engine_command
from daos_control.server.fault_domain_source import fault_domain
from daos_control.server.host_checks import Kernel
from daos_control.storage import memory
from daos_control.storage.api import EngineStorage
from daos_control.storage.nvme import host as nvme_host

log = logging.getLogger(__name__)

DATABASE_DIRECTORY: Final = "control_store"
_DEFAULT_HUGE_PAGE_KIB = 2048

BuildCommand = Callable[[bool], EngineCommand]
"""Checker mode or not, to what is to be run."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A server that may start.

    `config` has everything filled in that depends on the host. `numa_nodes` are those that the engines run on, None
    for not bound. `database` is the directory of the system database,
    None where there is no place for one. `device_class` is the kernel's ARP type of the fabric interfaces.
    """

    config: ServerConfig
    addresses: Addresses
    hostname: str
    fault_domain: str
    numa_nodes: tuple[int | None, ...]
    storages: tuple[EngineStorage, ...]
    commands: tuple[BuildCommand, ...]
    database: Path | None
    device_class: int


def prepare(config: ServerConfig, environment: Mapping[str, str]) -> Prepared:
    """Raises the Fault of what stands in the way; changes nothing on the host."""
    program = _find_engine(config, environment)
    known = {interface.name: interface for interface in interfaces()}
    own_addresses = {name: interface.addresses for name, interface in known.items()}
    where = addresses.find(config, own_addresses)
    hostname = config.daos_control.hostname or socket.gethostname()
    domain = str(fault_domain(config, hostname=hostname, trusted=install_dir()))
    if not config.daos_control.embedded_engine:
        _check_fabric(config, known)
    host_checks.check_kernel(config, Kernel.snapshot())
    device_class = _device_class(config, known)

    require(config, list(check_aliases(config, _identities(config))))
    config, huge_page_kib = _share_memory(config)
    places = affinity.affinities([_placement(engine, known) for engine in config.engines])
    if host_checks.uses_spdk(config):
        memory_rules.huge_page_nodes(config, [place.numa_node for place in places])  # Fault 728 comes of it
    storages = engine_storages(config, _hardware(config, places))
    commands = [
        _command(config, storage, program, place, huge_page_kib, environment)
        for storage, place in zip(storages, places, strict=True)
    ]
    for command in commands:
        command(False)  # what is wrong with an environment is said now
    database = system_database_dir(config)
    if where.is_replica and database is None:
        raise problems.no_place_for_database()
    return Prepared(
        config=config,
        addresses=where,
        hostname=hostname,
        fault_domain=domain,
        numa_nodes=tuple(place.numa_node for place in places),
        storages=tuple(storages),
        commands=tuple(commands),
        database=None if database is None else database / DATABASE_DIRECTORY,
        device_class=device_class,
    )


def _find_engine(config: ServerConfig, environment: Mapping[str, str]) -> Path:
    if not config.engines:
        return Path()
    ours = config.daos_control
    name = engine_binary.EMBEDDED_ENGINE if ours.embedded_engine else engine_binary.DAOS_ENGINE
    return engine_binary.find(name, ours.engine_binary, environment.get("PATH", ""))


def _identities(config: ServerConfig) -> dict[str, Hashable]:
    """What is behind the names of files and block devices that exist here."""
    found: dict[str, Hashable] = {}
    for use in uses(config):
        if use.name.startswith("/"):
            try:
                status = Path(use.name).stat()
            except OSError:
                found[use.name] = os.path.realpath(use.name)
            else:
                device = stat.S_ISBLK(status.st_mode)
                found[use.name] = ("device", status.st_rdev) if device else (status.st_dev, status.st_ino)
    return found


# Fabric


def _check_fabric(config: ServerConfig, known: Mapping[str, Interface]) -> None:
    """Raises ConfigError for interfaces that are missing or have no address, a Fault for one that is down."""
    findings = check_host(config, HostSnapshot({name: found.addresses for name, found in known.items()}))
    require(config, [finding for finding in findings if finding.path[-1] == "fabric_iface"])
    for engine in config.engines:
        found = known[engine.fabric_iface]
        if found.state is State.DOWN or not found.up:
            raise problems.fabric_interface_unusable(engine.fabric_iface, "it is down")


def _device_class(config: ServerConfig, known: Mapping[str, Interface]) -> int:
    """Of engine 0's interface; Fault 613 where another engine's has a different one."""
    classes = [known[e.fabric_iface].device_class if e.fabric_iface in known else 0 for e in config.engines]
    for index, found in enumerate(classes):
        if found != classes[0]:
            raise server_faults.invalid_network_device_class(index, str(classes[0]), str(found))
    return classes[0] if classes else 0


def _fabric_domain(engine: EngineConfig) -> str:
    """The name by which the provider knows the interface: that of its RDMA device where the provider needs one."""
    if "verbs" in engine.provider or engine.provider.startswith("ucx"):
        devices = Path("/sys/class/net") / engine.fabric_iface / "device" / "infiniband"
        names = sorted(entry.name for entry in devices.iterdir()) if devices.is_dir() else []
        if names:
            return names[0]
    return engine.fabric_iface


# Memory and NUMA


def _share_memory(config: ServerConfig) -> tuple[ServerConfig, int]:
    """The configuration with huge pages and RAM disks sized, and the size of one huge page in KiB."""
    now = memory.snapshot()
    huge_page_kib = now.huge_page_kib or _DEFAULT_HUGE_PAGE_KIB
    config, notices = memory_rules.with_huge_pages(config, huge_page_kib)
    for notice in notices:
        log.warning("%s", notice)
    return memory_rules.with_ramdisk_sizes(config, replace(now, huge_page_kib=huge_page_kib)), huge_page_kib


def _placement(engine: EngineConfig, known: Mapping[str, Interface]) -> Placement:
    interface = known.get(engine.fabric_iface)
    return Placement(
        first_core=engine.first_core,
        pinned_numa_node=engine.pinned_numa_node,
        interface_numa_node=None if interface is None or interface.virtual else interface.numa_node,
    )


def _hardware(config: ServerConfig, places: Sequence[Affinity]) -> Hardware:
    nodes = [place.numa_node for place in places]
    buses = {}
    if any(engine.bdevs for engine in config.engines):
        for node in {node or 0 for node in nodes}:
            found = topology.pci_buses(node)
            if found is not None:
                buses[node] = found
    vmd = nvme_preparation.vmd_in_use(config, nvme_host.snapshot())
    return Hardware(numa_nodes=nodes, buses=buses, vmd=vmd)


def _command(
    config: ServerConfig,
    storage: EngineStorage,
    program: Path,
    place: Affinity,
    huge_page_kib: int,
    environment: Mapping[str, str],
) -> BuildCommand:
    around = Surroundings(
        program=program,
        affinity=place,
        domain=_fabric_domain(config.engines[storage.index]),
        huge_page_mib=max(huge_page_kib // 1024, 1),
        environment=environment,
    )
    return lambda checker: engine_command(config, storage, around, checker=checker)
