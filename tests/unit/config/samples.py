"""A valid configuration to be spoilt, and the means to do it."""

import copy
from typing import Any

import yaml

from daos_control.config import server
from daos_control.config.models import ServerConfig
from daos_control.config.problems import ConfigError, Problem

REMOVE = object()


def engine(index: int = 0) -> dict[str, Any]:
    """An engine with a RAM disk and one file."""
    return {
        "targets": 4,
        "nr_xs_helpers": 1,
        "fabric_iface": "eth0",
        "fabric_iface_port": 31416 + index,
        "log_file": f"/tmp/engine{index}.log",
        "storage": [
            {"class": "ram", "scm_mount": f"/mnt/daos{index}", "scm_size": 4},
            {"class": "file", "bdev_list": [f"/tmp/bdev{index}"], "bdev_size": 8},
        ],
    }


def nvme(*addresses: str, roles: list[str] | None = None) -> dict[str, Any]:
    tier: dict[str, Any] = {"class": "nvme", "bdev_list": list(addresses)}
    return tier if roles is None else {**tier, "bdev_roles": roles}


def document(engines: int = 1) -> dict[str, Any]:
    return {
        "name": "daos_server",
        "mgmt_svc_replicas": ["host1", "host2", "host3"],
        "provider": "ofi+tcp",
        "engines": [engine(index) for index in range(engines)],
    }


def spoil(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with other values at dotted paths ("engines.0.targets"); REMOVE takes the key away."""
    made = copy.deepcopy(tree)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = made
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if value is REMOVE:
            del node[last]
        elif isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    return made


def parse(tree: dict[str, Any]) -> ServerConfig:
    return server.parse(yaml.safe_dump(tree, sort_keys=False), "test.yml")


def problems(tree: dict[str, Any] | str) -> tuple[Problem, ...]:
    """What is wrong with a document; nothing is ()."""
    text = tree if isinstance(tree, str) else yaml.safe_dump(tree, sort_keys=False)
    try:
        server.parse(text, "test.yml")
    except ConfigError as exc:
        return exc.problems
    return ()
