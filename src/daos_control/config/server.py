"""Reading and writing daos_server.yml."""

from pathlib import Path
from typing import Any

from daos_control.config import checks, reader, source
from daos_control.config.models import EngineConfig, ServerConfig, StorageTier, updated, with_origin
from daos_control.config.options import Overrides
from daos_control.config.problems import ConfigError, Finding, KeyPath, Notice, Problem, format_key
from daos_control.config.replicas import with_ports
from daos_control.config.storage_checks import tier_roles
from daos_control.faults import ControlError

ACTIVE_FILE = ".daos_server.active.yml"

# What engines take from the top of the file where they say nothing themselves (config.md 2).
_INHERITED = (
    "fabric_iface",
    "fabric_iface_port",
    "crt_timeout",
    "disable_srx",
    "fabric_auth_key",
    "secondary_provider_endpoints",
)


def load(path: Path | str, overrides: Overrides | None = None) -> ServerConfig:
    """Read a file; `overrides` are applied before its values are compared with each other.

    Raises ConfigError, with everything that is wrong, and nothing else, unless an override itself is impossible
    (ControlError: `storage` without an SCM tier to apply it to).
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(source.SIZE_MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        problem = Problem(str(path), "", f"the file cannot be read: {reason}")
        raise ConfigError(str(path), [problem]) from exc
    return parse(data, str(path), overrides, path=Path(path))


def parse(
    data: bytes | str, file: str, overrides: Overrides | None = None, *, path: Path | None = None
) -> ServerConfig:
    """Like `load`, of a text; `file` is what errors call it."""
    tree = source.parse(data, file)
    if tree.root is None and tree.problems:
        raise ConfigError(file, tree.problems)
    reading = reader.read(ServerConfig, tree)
    config = _inherit(_override(reading.model, overrides or Overrides()))
    for finding in checks.check(config):
        placed = finding.moved(reading.in_file)
        if not placed.depends_on(reading.broken):
            tree.report(placed.path, placed.message, allowed=placed.allowed, code=placed.code)
    if tree.problems:
        raise ConfigError(file, tree.problems)
    told = tuple(sorted((_located(notice, tree) for notice in checks.notices(config)), key=lambda n: n.line))
    return with_origin(_finish(config, overrides or Overrides()), path, told)


def default(overrides: Overrides | None = None) -> ServerConfig:
    """The configuration without a file."""
    return parse("", "", overrides)


def require(config: ServerConfig, findings: "list[Finding]") -> None:
    """Raise ConfigError where `findings` about a configuration that was read already are any."""
    if findings:
        file = str(config.path) if config.path is not None else ""
        problems = [
            Problem(file, format_key(found.path), found.message, found.allowed, code=found.code)
            for found in findings
        ]
        raise ConfigError(file, problems)


def dump(config: ServerConfig) -> str:
    """The configuration as YAML that loads again to an equal one (`modules` apart, which no file can set)."""
    import yaml

    data = config.model_dump(
        by_alias=True, mode="json", exclude_none=True, exclude={"engines": {"__all__": {"modules"}}}
    )
    if config.daos_control == type(config.daos_control)():
        data.pop("daos_control")  # so that DAOS's own server can read it, too
    _drop_empty(data)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return "# The configuration that daos_server runs with. Written at start; changing it has no effect.\n" + text


def save_active(config: ServerConfig) -> Path:
    """Write the configuration beside the server's sockets, mode 0644; may raise OSError."""
    path = config.socket_dir / ACTIVE_FILE
    path.write_text(dump(config), encoding="utf-8")
    path.chmod(0o644)
    return path


def _drop_empty(data: Any) -> None:
    """Empty texts and lists are defaults everywhere, and DAOS refuses some of them where they do not apply."""
    if isinstance(data, dict):
        for name, value in list(data.items()):
            _drop_empty(value)
            if value in ("", []) or (value == {} and name != "transport_config"):
                del data[name]
    elif isinstance(data, list):
        for item in data:
            _drop_empty(item)


def _located(notice: Notice, tree: source.Source) -> Notice:
    """The notice with its line, where its key stands in the file."""
    parts = notice.key.replace("]", "").replace("[", ".").split(".")
    path: KeyPath = tuple(int(part) if part.isdigit() else part for part in parts)
    known = tree.root is not None and path[0] in tree.root.entries
    return Notice(notice.key, notice.text, tree.locate(path).line if known else 0)


def _override(config: ServerConfig, given: Overrides) -> ServerConfig:
    changes: dict[str, Any] = {}
    if given.port:
        changes["port"] = given.port
    if given.name:
        changes["name"] = given.name
    if given.socket_dir is not None:
        changes["socket_dir"] = given.socket_dir
    if given.insecure:
        changes["transport_config"] = config.transport_config.model_copy(update={"allow_insecure": True})
    if given.embedded_engine:
        changes["daos_control"] = config.daos_control.model_copy(update={"embedded_engine": True})
    engines = [_override_engine(engine, given) for engine in config.engines]
    if given.storage is not None:
        engines = _override_storage(engines, given.storage)
    return updated(config, **changes, engines=engines)


def _override_engine(engine: EngineConfig, given: Overrides) -> EngineConfig:
    changes: dict[str, Any] = {}
    if given.targets:
        changes["targets"] = given.targets
    if given.nr_xs_helpers is not None:
        changes["nr_xs_helpers"] = given.nr_xs_helpers
    if given.first_core is not None:
        changes["first_core"] = given.first_core
    return engine.model_copy(update=changes)


def _override_storage(engines: list[EngineConfig], mount: Path) -> list[EngineConfig]:
    if not engines:
        raise ControlError("-s cannot be applied: the configuration has no engines")
    tiers = engines[0].storage
    if not tiers or not tiers[0].is_scm:
        raise ControlError("-s cannot be applied: the first storage tier of engine 0 is not SCM")
    first: StorageTier = tiers[0].model_copy(update={"scm_mount": mount})
    return [engines[0].model_copy(update={"storage": [first, *tiers[1:]]}), *engines[1:]]


def _inherit(config: ServerConfig) -> ServerConfig:
    """Engines take over the global keys of the fabric; the provider is always the global one."""
    engines = []
    for engine in config.engines:
        changes = {name: getattr(config, name) for name in _INHERITED if not getattr(engine, name)}
        engines.append(engine.model_copy(update={**changes, "provider": config.provider}))
    return updated(config, engines=engines)


def _finish(config: ServerConfig, given: Overrides) -> ServerConfig:
    """Deprecated keys into their successors, ports filled in, and one spelling for what has several."""
    changes: dict[str, Any] = {
        "mgmt_svc_replicas": with_ports(config),
        "access_points": None,
        "enable_hotplug": None,
    }
    if config.enable_hotplug is not None:
        changes["disable_hotplug"] = not config.enable_hotplug
    provider = config.provider.strip().strip(",").strip()
    changes["provider"] = "ofi+verbs;ofi_rxm" if provider == "ofi+verbs" else provider
    changes["engines"] = [_finish_engine(engine, changes["provider"], given) for engine in config.engines]
    return updated(config, **changes)


def _finish_engine(engine: EngineConfig, provider: str, given: Overrides) -> EngineConfig:
    options = [option for option in engine.acceleration.options if option]
    if "na" in (lowered := [option.lower() for option in options]):
        options = options[: lowered.index("na")]
    if engine.acceleration.engine == "none":
        options = []
    elif not options:
        options = ["crc", "move"]
    acceleration = engine.acceleration.model_copy(update={"options": sorted(set(options))})
    storage = [tier.model_copy(update={"bdev_roles": tier_roles(tier)}) for tier in engine.storage]
    return engine.model_copy(
        update={
            "provider": provider,
            "modules": given.modules or "",
            "acceleration": acceleration,
            "storage": storage,
        }
    )
