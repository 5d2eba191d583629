"""The command line and the environment of an engine, out of the configuration and of nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daos_control.config.models import EngineConfig, ServerConfig
from daos_control.server import log_masks, problems
from daos_control.server.affinity import Affinity
from daos_control.storage.api import Class, EngineStorage, Role

HUGE_PAGE_MIB_PER_TARGET = 1024  # memory for block device I/O that each target is promised

_STACK_SIZE = "ABT_THREAD_STACKSIZE"
_PMDK = "PMEMOBJ_CONF"
_STACK_BYTES_UCX = 32768
_STACK_BYTES_DCPM = 20480
_STACK_BYTES_MD_ON_SSD = 24576


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """A program with its arguments (without its own name) and its whole environment."""

    program: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an engine's command depends on beside its configuration.

    `domain` is the name of the fabric device (D_DOMAIN), `huge_page_mib` the size of one huge page, `environment`
    the server's own, of which only what env_pass_through names is handed on.
    """

    program: Path
    affinity: Affinity
    domain: str
    huge_page_mib: int
    environment: Mapping[str, str]


def engine_command(
    config: ServerConfig, storage: EngineStorage, around: Surroundings, *, checker: bool
) -> EngineCommand:
    """What starts engine number `storage.index`; raises the Fault of an environment that would break it."""
    return EngineCommand(
        program=around.program,
        arguments=_arguments(config, storage, around, checker=checker),
        environment=engine_environment(config, storage, around),
    )


def _arguments(
    config: ServerConfig, storage: EngineStorage, around: Surroundings, *, checker: bool
) -> tuple[str, ...]:
    engine = config.engines[storage.index]
    # Memory is only announced where block devices use it.
    memory_mib, page_mib = 0, 0
    if storage.bdevs:
        pages = engine.targets * HUGE_PAGE_MIB_PER_TARGET // around.huge_page_mib
        memory_mib, page_mib = pages * around.huge_page_mib, around.huge_page_mib

    arguments = ["-m", engine.modules] if engine.modules else []
    arguments += ["-t", str(engine.targets), "-x", str(engine.nr_xs_helpers)]
    if around.affinity.first_core is not None:
        arguments += ["-f", str(around.affinity.first_core)]
    arguments += ["-g", config.name, "-d", str(config.socket_dir)]
    arguments += ["-T", str(1 + len(storage.bdevs))]
    if storage.bdevs:
        arguments += ["-n", str(storage.nvme_config_path)]
    if engine.bypass_health_chk:
        arguments.append("-b")
    if around.affinity.numa_node is not None:
        arguments += ["-p", str(around.affinity.numa_node)]
    arguments += ["-I", str(storage.index), "-r", str(memory_mib), "-H", str(page_mib)]
    if checker:
        arguments.append("-C")
    return (*arguments, "-s", str(storage.scm.mount))


def engine_environment(config: ServerConfig, storage: EngineStorage, around: Surroundings) -> dict[str, str]:
    """The whole environment of the engine; raises the Fault of one that would break it."""
    engine = config.engines[storage.index]
    inherited = {name: around.environment[name] for name in engine.env_pass_through if around.environment.get(name)}
    environment = {**inherited, "D_DOMAIN": around.domain, **_pairs(engine.env_vars)}
    environment |= _derived(config, engine, storage)
    _check_stack_size(environment, config, storage)
    _check_pmdk(environment, storage)
    _merge_log_masks(environment, storage.index)
    return {name: value for name, value in environment.items() if value}


def configured_variable(engine: EngineConfig, name: str, environment: Mapping[str, str]) -> str:
    """What the engine would be given for the variable `name` by env_vars or env_pass_through; "" for nothing."""
    passed = environment.get(name, "") if name in engine.env_pass_through else ""
    return _pairs(engine.env_vars).get(name, passed)


def _pairs(entries: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE entries; of a name that is given twice the first counts."""
    pairs: dict[str, str] = {}
    for entry in entries:
        name, _, value = entry.partition("=")
        if name and value:
            pairs.setdefault(name, value)
    return pairs


def _derived(config: ServerConfig, engine: EngineConfig, storage: EngineStorage) -> dict[str, str]:
    """What keys of the configuration say; it has precedence over env_vars. Empty values are left out."""
    values = {
        "D_PROVIDER": config.provider,
        "D_INTERFACE": engine.fabric_iface,
        "D_PORT": str(engine.fabric_iface_port or ""),
        "CRT_TIMEOUT": str(engine.crt_timeout or 0),
        "FI_OFI_RXM_USE_SRX": "0" if engine.disable_srx else "1",
        "D_PROVIDER_AUTH_KEY": engine.fabric_auth_key,
        "D_LOG_MASK": engine.log_mask,
        "D_LOG_FILE": engine.log_file,
        "VOS_BDEV_CLASS": _vos_class(storage),
    }
    return {name: str(value) for name, value in values.items() if value}


def _vos_class(storage: EngineStorage) -> str:
    if not storage.bdevs:
        return ""
    return "NVME" if storage.bdevs[0].storage_class is Class.NVME else "AIO"


def _check_stack_size(environment: dict[str, str], config: ServerConfig, storage: EngineStorage) -> None:
    """Some set-ups overrun the default stacks of the engine's threads: set their least size, or hold them to it."""
    needs = []
    if config.provider.startswith("ucx+"):
        needs.append((_STACK_BYTES_UCX, "a UCX provider"))
    if storage.scm.storage_class is Class.DCPM:
        needs.append((_STACK_BYTES_DCPM, "storage class dcpm"))
    if any(tier.roles & Role.META for tier in storage.bdevs):
        needs.append((_STACK_BYTES_MD_ON_SSD, "metadata on SSD"))
    configured = environment.get(_STACK_SIZE)
    if configured is None:
        if needs:
            environment[_STACK_SIZE] = str(max(needs)[0])
        return
    for least, what in needs:
        if not configured.isdecimal() or int(configured) < least:
            raise problems.bad_environment(
                storage.index,
                _STACK_SIZE,
                f"is {configured!r}, and {what} needs at least {least}",
                f"Remove it from env_vars, or set it to {least} or more.",
            )


def _check_pmdk(environment: dict[str, str], storage: EngineStorage) -> None:
    """The shutdown state of persistent memory must be kept on real modules, and cannot be on anything else."""
    configured = environment.get(_PMDK, "")
    if storage.scm.storage_class is Class.DCPM:
        if "sds.at_create" in configured:
            raise problems.bad_environment(
                storage.index,
                _PMDK,
                "must not set sds.at_create with storage class dcpm",
                "Remove sds.at_create from it.",
            )
    elif not configured:
        environment[_PMDK] = "sds.at_create=0"
    elif "sds.at_create" not in configured:
        environment[_PMDK] = f"{configured};sds.at_create=0"
    elif "sds.at_create=1" in configured:
        raise problems.bad_environment(
            storage.index,
            _PMDK,
            f"sets sds.at_create=1, which storage class {storage.scm.storage_class.value} cannot do",
            "Set sds.at_create=0, or leave it out.",
        )


def _merge_log_masks(environment: dict[str, str], index: int) -> None:
    mask, subsystems = environment.get("D_LOG_MASK"), environment.get("DD_SUBSYS")
    if not mask or not subsystems:
        return
    try:
        environment["D_LOG_MASK"] = log_masks.merge(mask, subsystems)
    except ValueError as error:
        raise problems.bad_environment(
            index, "D_LOG_MASK", f"is wrong: {error}", "Write it as LEVEL,SUBSYSTEM=LEVEL,... in log_mask."
        ) from error
    del environment["DD_SUBSYS"]
