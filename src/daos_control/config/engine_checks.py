"""What the keys of an engine, and of engines beside each other, must be (config.md 3)."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from daos_control.config import log_masks
from daos_control.config.models import EngineConfig, ServerConfig
from daos_control.config.problems import Finding, KeyPath, Notice, format_key
from daos_control.config.values import ValueProblem, to_int
from daos_control.faults import Fault
from daos_control.faults import serverconfig as faults

SRX_VARIABLE = "FI_OFI_RXM_USE_SRX"
# The least stack of an engine's threads, in bytes, by what the engine is used with (lifecycle.md 4).
STACK_BYTES_UCX = 32768
STACK_BYTES_DCPM = 20480
STACK_BYTES_MD_ON_SSD = 24576

ValueT = TypeVar("ValueT")


def environment(engine: EngineConfig) -> dict[str, tuple[str, int]]:
    """`env_vars` by name: value, and index in the list. The first of a name counts; empty values do not."""
    found: dict[str, tuple[str, int]] = {}
    for index, entry in enumerate(engine.env_vars):
        name, _, value = entry.partition("=")
        if name and value:
            found.setdefault(name, (value, index))
    return found


def check_engine(config: ServerConfig, index: int) -> Iterator[Finding]:
    """One engine by itself, storage apart."""
    engine = config.engines[index]
    path: KeyPath = ("engines", index)
    if not engine.targets:
        yield Finding((*path, "targets"), "the engine has no targets", "1 or more")
    if engine.pinned_numa_node is not None and engine.first_core:
        what = "first_core cannot be set together with pinned_numa_node"
        yield Finding((*path, "first_core"), what, "remove one of them", involves=((*path, "pinned_numa_node"),))
    yield from _check_fabric(engine, path)
    try:
        log_masks.check_log_mask(engine.log_mask)
    except ValueProblem as exc:
        yield Finding((*path, "log_mask"), exc.message, exc.allowed)
    yield from _check_environment(engine, path)
    if engine.acceleration.engine not in ("none", "spdk", "dml"):
        fault = faults.unknown_accel_engine(engine.acceleration.engine)
        yield Finding.of(fault, (*path, "acceleration", "engine"))
    for number, option in enumerate(engine.acceleration.options):
        if option.lower() == "na":
            break
        if option and option not in ("move", "crc"):
            fault = faults.unknown_option_flag(option, ("move", "crc"))
            yield Finding.of(fault, (*path, "acceleration", "options", number))


def _check_fabric(engine: EngineConfig, path: KeyPath) -> Iterator[Finding]:
    if not engine.fabric_iface:
        involves: tuple[KeyPath, ...] = (("fabric_iface",),)
        yield Finding((*path, "fabric_iface"), "the engine has no network interface", "as eth0", involves=involves)
    elif "," in engine.fabric_iface:
        what = "more than one network interface is named"
        yield Finding((*path, "fabric_iface"), what, "one, as there is one provider")
    if not engine.fabric_iface_port:
        involves = (("fabric_iface_port",),)
        what = "the engine has no port on its network interface"
        yield Finding((*path, "fabric_iface_port"), what, "a port number, as 31416", involves=involves)


def _check_environment(engine: EngineConfig, path: KeyPath) -> Iterator[Finding]:
    for index, entry in enumerate(engine.env_vars):
        name, equals, _ = entry.partition("=")
        if not equals or not name or "\0" in entry:
            yield Finding((*path, "env_vars", index), "this is no environment variable", "NAME=value")
    for index, name in enumerate(engine.env_pass_through):
        if name == SRX_VARIABLE:
            what = f"{SRX_VARIABLE} cannot be passed through"
            yield Finding((*path, "env_pass_through", index), what, "set it in env_vars, or set disable_srx")
        elif "=" in name or not name:
            yield Finding(
                (*path, "env_pass_through", index), "this is no name of a variable", "a name without value"
            )
    variables = environment(engine)
    checks: dict[str, Callable[[str], object]] = {
        "DD_MASK": log_masks.check_streams,
        "DD_SUBSYS": log_masks.check_subsystems,
        SRX_VARIABLE: lambda text: _number(text, 0),
        "DAOS_MD_CAP": lambda text: _number(text, 0),
        "ABT_THREAD_STACKSIZE": lambda text: _stack_size(engine, text),
        "PMEMOBJ_CONF": lambda text: _pmemobj(engine, text),
    }
    for name, check in checks.items():
        if name not in variables:
            continue
        text, index = variables[name]
        try:
            check(text)
        except ValueProblem as exc:
            involves = ((*path, "storage"), ("provider",))
            what = f"{name}: {exc.message}"
            yield Finding((*path, "env_vars", index), what, exc.allowed, involves=involves)


def _number(text: str, low: int) -> int:
    if not text.isascii() or not text.lstrip("+-").isdigit() or len(text) > 18:
        raise ValueProblem(f'"{text}" is not a whole number')
    return to_int(int(text), low, None)


def _stack_size(engine: EngineConfig, text: str) -> None:
    size = _number(text, 0)
    needs = [
        (STACK_BYTES_UCX, "a provider of UCX", engine.provider.startswith("ucx+")),
        (STACK_BYTES_DCPM, "SCM of class dcpm", bool(engine.storage) and engine.storage[0].class_ == "dcpm"),
        (STACK_BYTES_MD_ON_SSD, "metadata on SSDs", engine.has_meta_role),
    ]
    least, why = max(((need, why) for need, why, applies in needs if applies), default=(0, ""))
    if size < least:
        raise ValueProblem(f"{size} bytes are too few with {why}", f"{least} or more")


def _pmemobj(engine: EngineConfig, text: str) -> None:
    if not engine.storage or "sds.at_create" not in text:
        return
    if engine.storage[0].class_ == "dcpm":
        raise ValueProblem("sds.at_create cannot be set with class dcpm", "remove it")
    if "sds.at_create=1" in text:
        raise ValueProblem("sds.at_create must be 0 without class dcpm", "sds.at_create=0, or leave it out")


def check_engines_together(config: ServerConfig) -> Iterator[Finding]:
    """What must be unique to an engine, and what must be equal in all."""
    yield from _check_unique(config)
    yield from _check_equal(config)


def _check_unique(config: ServerConfig) -> Iterator[Finding]:
    fabric: dict[tuple[str, str, int], int] = {}
    logs: dict[str, int] = {}
    mounts: dict[str, int] = {}
    scm_devices: dict[str, int] = {}
    bdevs: dict[str, int] = {}

    def claim(owners: dict[ValueT, int], value: ValueT, index: int) -> int | None:
        """The other engine that has the value already."""
        owner = owners.setdefault(value, index)
        return owner if owner != index else None

    for index, engine in enumerate(config.engines):
        path: KeyPath = ("engines", index)
        if engine.fabric_iface and engine.fabric_iface_port:
            other = claim(fabric, (engine.provider, engine.fabric_iface, engine.fabric_iface_port), index)
            if other is not None:
                fault = faults.duplicate_fabric(index, other, engine.fabric_iface, engine.fabric_iface_port)
                theirs = (("engines", other, "fabric_iface"), ("engines", other, "fabric_iface_port"))
                yield Finding.of(fault, (*path, "fabric_iface_port"), (*path, "fabric_iface"), *theirs)
        if engine.log_file is not None:
            other = claim(logs, str(engine.log_file), index)
            if other is not None:
                fault = faults.duplicate_log_file(index, other, str(engine.log_file))
                yield Finding.of(fault, (*path, "log_file"))
        for number, tier in enumerate(engine.storage):
            where: KeyPath = (*path, "storage", number)
            if tier.is_scm and tier.scm_mount is not None:
                other = claim(mounts, str(tier.scm_mount), index)
                if other is not None:
                    fault = faults.duplicate_scm_mount(index, other, str(tier.scm_mount))
                    yield Finding.of(fault, (*where, "scm_mount"))
            if tier.is_scm:
                for item, path_of_device in enumerate(tier.scm_list):
                    other = claim(scm_devices, str(path_of_device), index)
                    if other is not None:
                        fault = faults.duplicate_scm_device(index, other, str(path_of_device))
                        yield Finding.of(fault, (*where, "scm_list", item))
            if tier.is_bdev:
                for item, device in enumerate(tier.bdev_list):
                    other = claim(bdevs, device, index)
                    if other is not None:
                        fault = faults.overlapping_bdevs(index, other, device)
                        yield Finding.of(fault, (*where, "bdev_list", item))


def _check_equal(config: ServerConfig) -> Iterator[Finding]:
    first = config.engines[0]
    for index, engine in enumerate(config.engines[1:], start=1):

        def differ(fault: Fault, *keys: str | int, index: int = index) -> Finding:
            return Finding.of(fault, ("engines", index, *keys), ("engines", 0, *keys))

        if engine.targets != first.targets and engine.targets and first.targets:
            yield differ(faults.target_count_mismatch(index, engine.targets, 0, first.targets), "targets")
        if engine.nr_xs_helpers != first.nr_xs_helpers:
            fault = faults.helper_count_mismatch(index, engine.nr_xs_helpers, 0, first.nr_xs_helpers)
            yield differ(fault, "nr_xs_helpers")
        if _srx(engine) != _srx(first):
            what = f"{SRX_VARIABLE} is not the same as for engine 0"
            path: KeyPath = ("engines", index, "env_vars")
            yield Finding(path, what, "set it alike for all engines", involves=(("engines", 0, "env_vars"),))
        scm, scm_first = engine.scm, first.scm
        if scm is None or scm_first is None:
            continue
        if scm.class_ != scm_first.class_:
            fault = faults.scm_class_mismatch(index, scm.class_, 0, scm_first.class_)
            yield differ(fault, "storage", engine.storage.index(scm), "class")
        elif scm.scm_hugepages_disabled != scm_first.scm_hugepages_disabled:
            fault = faults.scm_huge_pages_mismatch(index, 0)
            yield differ(fault, "storage", engine.storage.index(scm), "scm_hugepages_disabled")


def _srx(engine: EngineConfig) -> str:
    """The setting by variable; 01 and 1 are one."""
    text = environment(engine).get(SRX_VARIABLE, ("", 0))[0]
    return text.lstrip("+0") or ("0" if text else "")


def engine_notices(config: ServerConfig) -> Iterator[Notice]:
    """What is worth telling about engines that are valid."""
    for index, engine in enumerate(config.engines):
        path: KeyPath = ("engines", index)
        if engine.log_file is None:
            yield Notice(format_key(path), "the engine has no log_file")
        if engine.first_core == 0 and engine.pinned_numa_node is not None:
            yield Notice(format_key((*path, "first_core")), "is ignored, as pinned_numa_node is set")
        if engine.secondary_provider_endpoints:
            where = format_key((*path, "secondary_provider_endpoints"))
            yield Notice(where, "is ignored, as there is one provider")
    counts = [sum(len(tier.bdev_list) for tier in engine.bdevs) for engine in config.engines]
    for index, count in enumerate(counts[1:], start=1):
        if count != counts[0]:
            fault = faults.bdev_count_mismatch(index, count, 0, counts[0])
            yield Notice(format_key(("engines", index, "storage")), fault.description)
