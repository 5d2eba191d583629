"""A generated configuration as YAML, in the form of DAOS's own generator: its keys, in its order."""

from typing import Any

import yaml

from daos_control.config.models import EngineConfig, ServerConfig, StorageTier

_TEXT_TAG = "tag:yaml.org,2002:str"


def to_yaml(config: ServerConfig) -> str:
    """The text; it ends with a newline, and has no comments."""
    return yaml.dump(
        _document(config),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=1 << 20,
    )


class _Dumper(yaml.SafeDumper):
    """Writes texts that would read as something else in double quotes, as Go's YAML does."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = value != "" and _reads_as_text(dumper, value)
    return dumper.represent_scalar(_TEXT_TAG, value, style=None if plain else '"')


def _reads_as_text(dumper: yaml.SafeDumper, value: str) -> bool:
    tag = dumper.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return bool(tag == _TEXT_TAG)


_Dumper.add_representer(str, _text)


def _document(config: ServerConfig) -> dict[str, Any]:
    transport = config.transport_config
    document: dict[str, Any] = {
        "port": config.port,
        "transport_config": {
            "allow_insecure": transport.allow_insecure,
            "client_cert_dir": str(transport.client_cert_dir),
            "ca_cert": str(transport.ca_cert),
            "cert": str(transport.cert),
            "key": str(transport.key),
        },
        "engines": [_engine(engine) for engine in config.engines],
        "disable_vfio": config.disable_vfio,
        "disable_vmd": config.disable_vmd,
        "disable_hotplug": config.disable_hotplug,
        "nr_hugepages": config.nr_hugepages,
        "system_ram_reserved": config.system_ram_reserved,
        "disable_hugepages": config.disable_hugepages,
        "allow_numa_imbalance": config.allow_numa_imbalance,
        "allow_thp": config.allow_thp,
        "control_log_mask": config.control_log_mask,
        "control_log_file": str(config.control_log_file),
        "core_dump_filter": config.core_dump_filter,
        "name": config.name,
        "socket_dir": str(config.socket_dir),
        "provider": config.provider,
        "mgmt_svc_replicas": list(config.mgmt_svc_replicas),
    }
    if config.control_metadata.path is not None:
        document["control_metadata"] = {
            "path": str(config.control_metadata.path),
            "allow_spdk_conf_override": config.control_metadata.allow_spdk_conf_override,
        }
    return document | {
        "fault_cb": str(config.fault_cb or ""),
        "hyperthreads": config.hyperthreads,
        "disable_engine_auto_restart": config.disable_engine_auto_restart,
    }


def _engine(engine: EngineConfig) -> dict[str, Any]:
    return {
        "targets": engine.targets,
        "nr_xs_helpers": engine.nr_xs_helpers,
        "log_file": str(engine.log_file),
        "storage": [_tier(tier) for tier in engine.storage],
        "provider": engine.provider,
        "fabric_iface": engine.fabric_iface,
        "fabric_iface_port": engine.fabric_iface_port,
        "pinned_numa_node": engine.pinned_numa_node,
    }


def _tier(tier: StorageTier) -> dict[str, Any]:
    document: dict[str, Any] = {"class": tier.class_}
    if tier.scm_mount is not None:
        document["scm_mount"] = str(tier.scm_mount)
    for name in ("scm_list", "bdev_list", "bdev_roles"):
        values = getattr(tier, name)
        if values:
            document[name] = [str(value) for value in values]
    return document
