"""What the values of daos_server.yml must be beside each other: everything that the file alone can tell.

Pure: what needs the machine is in `host` and `memory`.
"""

from collections.abc import Iterator

from daos_control.config.device_checks import check_devices, check_mount_points
from daos_control.config.engine_checks import check_engine, check_engines_together, engine_notices
from daos_control.config.models import ServerConfig
from daos_control.config.problems import Finding, Notice
from daos_control.config.replicas import check_replicas
from daos_control.config.storage_checks import check_engine_storage, storage_notices
from daos_control.faults import serverconfig as faults

HUGE_PAGES_MAX = (1 << 31) - 1
_FAULT_DOMAIN_LEVELS_MAX = 2


def check(config: ServerConfig) -> Iterator[Finding]:
    """Every mistake between the values of a configuration whose engines have taken over the global keys."""
    yield from _check_global(config)
    yield from check_replicas(config)
    yield from _check_fault_domain(config)
    yield from _check_huge_pages(config)
    if not config.engines:
        return
    if not config.provider:
        yield Finding.of(faults.no_provider(), ("provider",))
    for index in range(len(config.engines)):
        yield from check_engine(config, index)
        yield from check_engine_storage(config, index)
    yield from check_engines_together(config)
    yield from check_devices(config)
    yield from check_mount_points(config)
    yield from _check_excluded(config)


def check_startable(config: ServerConfig) -> Iterator[Finding]:
    """What a server needs to start beyond a valid file: without engines these two are not otherwise asked for."""
    if not config.provider:
        yield Finding.of(faults.no_provider(), ("provider",))
    if not config.engines and config.control_metadata.path is None:
        what = "without engines there is no place for the management service's data"
        yield Finding(("control_metadata", "path"), what, "add engines, or set control_metadata.path")


def _check_global(config: ServerConfig) -> Iterator[Finding]:
    providers = [name for name in config.provider.split(",") if name.strip()]
    if len(providers) > 1:
        yield Finding(("provider",), "more than one fabric provider is named", "one, as ofi+tcp")
    if config.control_metadata.device is not None and config.control_metadata.path is None:
        where = ("control_metadata", "device")
        yield Finding.of(faults.metadata_device_without_path(), where, ("control_metadata", "path"))
    if config.system_ram_reserved <= 0:
        yield Finding.of(faults.no_reserved_memory(config.system_ram_reserved), ("system_ram_reserved",))
    ours = config.daos_control
    if ours.helper_socket is not None and ours.helper_binary is not None:
        where = ("daos_control", "helper_socket")
        what = "helper_socket and helper_binary are both set"
        yield Finding(where, what, "keep one of them", involves=(("daos_control", "helper_binary"),))
    if config.enable_hotplug is not None and "disable_hotplug" in config.model_fields_set:
        yield Finding.of(faults.hotplug_set_twice(), ("enable_hotplug",))


def _check_fault_domain(config: ServerConfig) -> Iterator[Finding]:
    where = ("fault_path",)
    if config.fault_path and config.fault_cb is not None:
        yield Finding.of(faults.fault_path_and_callback(), where, ("fault_cb",))
    if not config.fault_path:
        return
    levels, why = parse_fault_domain(config.fault_path)
    if why:
        yield Finding.of(faults.bad_fault_domain(why), where)
    elif levels > _FAULT_DOMAIN_LEVELS_MAX:
        yield Finding.of(faults.fault_domain_too_deep(levels), where)


def parse_fault_domain(text: str) -> tuple[int, str]:
    """Number of levels of a fault domain, and what is wrong with it (empty: nothing)."""
    text = text.strip()
    if not text.startswith("/"):
        return 0, f'"{text}" does not begin with /'
    levels = text[1:].split("/") if text != "/" else []
    if not levels:
        return 0, "it has no level"
    labelled = ["=" in level for level in levels]
    if any(labelled) and not all(labelled):
        return len(levels), "some of its levels have labels, and some have none"
    for level in levels:
        parts = [part.strip(' \t"') for part in level.split("=")]
        if not all(parts):
            return len(levels), f'the level "{level}" is empty, or its label is'
        if len(parts) > 2:
            return len(levels), f'the level "{level}" has more than one label'
    return len(levels), ""


def _check_huge_pages(config: ServerConfig) -> Iterator[Finding]:
    if not 0 <= config.nr_hugepages <= HUGE_PAGES_MAX:
        fault = faults.huge_pages_out_of_range(config.nr_hugepages, HUGE_PAGES_MAX)
        yield Finding.of(fault, ("nr_hugepages",))
    if not config.disable_hugepages:
        return
    if config.nr_hugepages:
        yield Finding.of(faults.huge_pages_disabled_with_count(), ("disable_hugepages",), ("nr_hugepages",))
    if any(tier.class_ == "nvme" and tier.bdev_list for engine in config.engines for tier in engine.bdevs):
        yield Finding.of(faults.huge_pages_disabled_with_nvme(), ("disable_hugepages",))


def _check_excluded(config: ServerConfig) -> Iterator[Finding]:
    excluded = set(config.bdev_exclude)
    for index, engine in enumerate(config.engines):
        for number, tier in enumerate(engine.storage):
            if tier.class_ != "nvme":
                continue
            for item, device in enumerate(tier.bdev_list):
                if device in excluded:
                    where = ("engines", index, "storage", number, "bdev_list", item)
                    yield Finding.of(faults.excluded_bdev_used(device), where)


def notices(config: ServerConfig) -> Iterator[Notice]:
    """What is worth telling about a valid configuration; `config` as it stands in the file."""
    if config.access_points:
        yield Notice("access_points", "is deprecated: its name is mgmt_svc_replicas now")
    if config.enable_hotplug is not None:
        yield Notice("enable_hotplug", "is deprecated: use disable_hotplug, which is false by default")
    if not config.engines:
        yield Notice("engines", "there are none: the server starts for discovery only")
        for finding in check_startable(config):
            yield Notice(
                finding.path[0] if isinstance(finding.path[0], str) else "", f"start will fail: {finding.message}"
            )
        return
    key = "access_points" if config.access_points else "mgmt_svc_replicas"
    count = len(config.access_points or config.mgmt_svc_replicas)
    if count <= 1:
        yield Notice(key, "there is one management service replica, and no other if it fails")
    if config.disable_hugepages:
        emulated = any(tier.bdev_list for engine in config.engines for tier in engine.bdevs)
        what = "block devices are used without huge pages, which DAOS calls experimental" if emulated else ""
        yield Notice("disable_hugepages", what or "NVMe devices cannot be used without huge pages")
    yield from engine_notices(config)
    for index, engine in enumerate(config.engines):
        yield from storage_notices(engine, ("engines", index, "storage"))
        if engine.modules:
            yield Notice(f"engines[{index}].modules", "is ignored, as DAOS does; use `daos_server start -m`")
