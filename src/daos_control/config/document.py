"""docs/configuration.md, made out of the models by `python -m daos_control.config.document`."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from daos_control.config.control import ControlConfig, ControlTransport
from daos_control.config.fields import Kind
from daos_control.config.models import DEFAULT_REPLICA, EngineConfig, Extensions, Fabric, ServerConfig
from daos_control.config.reader import model_keys, section_of


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of daos_server.yml: dotted name within its table, type, default and purpose, in words."""

    name: str
    type: str
    default: str
    doc: str


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[KeyRow]:
    """The keys of a section and of the maps in it; lists of sections stand for themselves."""
    for key, info in model_keys(model):
        inner = section_of(info.annotation)
        words = _type_words(info.annotation, info.metadata)
        default = info.get_default(call_default_factory=True)
        if inner is not None and get_origin(info.annotation) is not list:
            yield from rows(inner, f"{prefix}{key}.")
            continue
        yield KeyRow(prefix + key, words, _default_words(key, default), info.description or "")


def _type_words(annotation: Any, metadata: list[Any]) -> str:
    for item in metadata:
        if isinstance(item, Kind):
            return item.words
    if get_origin(annotation) is Annotated:
        inner, *rest = get_args(annotation)
        return _type_words(inner, rest)
    if get_origin(annotation) is list:
        item = get_args(annotation)[0]
        return "list of maps" if section_of(item) is not None else f"list of {_type_words(item, [])}"
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return _type_words(parts[0], []) if parts else "map"


def _default_words(key: str, default: object) -> str:
    if key == "mgmt_svc_replicas":
        return f"`[{DEFAULT_REPLICA}]`"
    if key == "core_dump_filter":
        return f"`0x{default:x}`"
    if default in (None, "", []):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`"


def _table(keys: Iterator[KeyRow]) -> Iterator[str]:
    yield "| Key | Type | Default | Purpose |"
    yield "|---|---|---|---|"
    for row in keys:
        words = row.type.replace("|", "\\|")
        yield f"| `{row.name}` | {words} | {row.default} | {row.doc} |"


def _global_rows() -> Iterator[KeyRow]:
    """The keys at the top, without those of engines, of the fabric, and of our own."""
    fabric = set(Fabric.model_fields) - {"provider"}
    every = [row for row in rows(ServerConfig) if not row.name.startswith("daos_control.")]
    yield from (row for row in every if row.name not in fabric)


def _engine_rows() -> Iterator[KeyRow]:
    for row in rows(EngineConfig):
        if row.name == "provider":
            row = KeyRow(row.name, row.type, row.default, "Accepted; the provider of the whole file is used.")
        yield row


def _tier_rows() -> Iterator[KeyRow]:
    inner = section_of(EngineConfig.model_fields["storage"].annotation)
    if inner is not None:
        yield from rows(inner)


def _control_rows() -> Iterator[KeyRow]:
    for prefix, section in (("", ControlConfig), ("transport_config.", ControlTransport)):
        hints = get_type_hints(section, include_extras=True)
        for item in fields(section):
            for doc in getattr(hints[item.name], "__metadata__", ()):
                yield KeyRow(prefix + item.name, doc.kind, _control_default(item.default), doc.purpose)


def _control_default(default: object) -> str:
    return _default_words("", f"[{', '.join(default)}]" if isinstance(default, tuple) else default)


_HEAD = """\
# Configuration

<!-- Made by `python -m daos_control.config.document > docs/configuration.md`: change the models, not this page. -->

`daos_server` reads `daos_server.yml`, `dmg` reads `daos_control.yml`. Both are the files of DAOS 2.8: a file of
DAOS works here unchanged, and one of ours works there, unless it has the map `daos_control`.

## How files are read

- `daos_server` takes the file that `-o` names, or else the first `daos_server.yml` in `etc` of its installation and
  in `/etc/daos`. `dmg` takes the file of `-o`, or `~/.daos_control.yml`, or the first `daos_control.yml` in the
  same two directories, or else the defaults.
- Files are YAML. Unknown keys, keys that stand twice, and values of the wrong type are errors. All mistakes of a
  file are reported together, each with its line and key:

  ```
  $ daos_server config check -o bad.yml
  ERROR: daos_server: bad.yml has 2 mistakes:
    line 1, column 1: prot: unknown key; did you mean port?
    line 9, column 11: engines[1].log_file: engine 1 writes to the log file of engine 0, /tmp/e.log (give each
    engine a log_file of its own) [code 710]
  ```

  A number in brackets is DAOS's fault code for the mistake.
- A key without a value is a key that is not there: it has its default.
- `daos_server config check [-o FILE]` checks a file, and does nothing else. What depends on the machine (network
  interfaces, memory, certificate files) is checked by `daos_server start`.
- `daos_server start` writes what it runs with to `.daos_server.active.yml` in `socket_dir`.

## daos_server.yml
"""

_RULES = """\
Rules between keys:

- `provider`, and for each engine `targets`, `fabric_iface`, `fabric_iface_port` and `storage`, are required.
  Without `engines` the server starts for discovery only; it then needs `control_metadata.path`.
- `mgmt_svc_replicas` names an odd number of different hosts; `port` is that of entries without one.
- `fault_path` and `fault_cb` exclude each other; a fault domain has one or two levels.
- `disable_hugepages` excludes `nr_hugepages`, and tiers of class `nvme`.
- `control_metadata.path` needs engines with the role `meta`, and they need it; so does `control_metadata.device`.
- A device of `bdev_exclude` cannot stand in a `bdev_list`. No device is named twice, be it as SCM, as a block
  device or for the control metadata; `daos_server start` also finds two names of one device.
- No `scm_mount` and no `control_metadata.path` lies in another of them.
- `helper_socket` and `helper_binary` exclude each other.

### Keys of the fabric

These stand in an engine, or at the top for all engines that do not have them; `provider` is always that of the top.
"""

_ENGINE_RULES = """\
Rules between engines: `log_file`, `scm_mount`, devices, and interface with port are of one engine alone. `targets`,
`nr_xs_helpers`, the class of SCM, `scm_hugepages_disabled` and `FI_OFI_RXM_USE_SRX` in `env_vars` are the same in
all. `first_core` other than 0 and `pinned_numa_node` exclude each other.
"""

_TIER_RULES = """\
The first tier, and no other, is SCM (`ram` or `dcpm`). Tiers of class `nvme` and of `file` or `kdev` do not mix.
Without `bdev_roles` there is at most one tier of block devices, with them at most three; each of `wal`, `meta` and
`data` is then given to exactly one tier, `wal` and `data` not together without `meta`, and SCM is of class `ram`. A
key that the class of its tier makes no use of is told of in a notice.
"""


_GENERATING = """\
## Generating a configuration

`daos_server config generate` prints a `daos_server.yml` for the hardware of the host it runs on, without a running
server. `dmg config generate` asks running servers (started without engines, for instance) and prints one for all of
them: hosts that differ are named with what they lack or have more. The text is that of DAOS's own generator; the same
hardware always gives the same text, and `daos_server config check` accepts it.

| Option | Meaning |
|---|---|
| `-r`, `--ms-replicas HOSTS` | Hosts of the management service, an odd number; all without a port, or with the same. Default `localhost`. `-a` is a deprecated name. |
| `-e`, `--num-engines N` | Number of engines; default: one for each NUMA node. |
| `-c`, `--net-class CLASS` | `infiniband` (default) or `ethernet`. |
| `-p`, `--net-provider NAME` | Fabric provider; default: the one with the best priorities. |
| `-s`, `--scm-only` | Do without NVMe SSDs. |
| `-t`, `--use-tmpfs-scm` | RAM in place of persistent memory. |
| `-m`, `--control-metadata-path DIR` | With `-t`: metadata on SSDs; the control plane's own in this directory, which must last. |
| `-f`, `--fabric-ports PORTS` | Ports of the engines, in order; default 31416, 32416, ... |
| `-l HOSTS` | `dmg`: the hosts to ask. |
| `--skip-prep`, `-l FILE` | `daos_server`: accepted; devices are found without preparing them or asking the privileged helper. |

| What | How it is chosen |
|---|---|
| NUMA nodes | Those with SCM, an SSD and an interface of class and provider; of these the set with the lowest sum of interface priorities, then with most SSDs on its poorest node, then with the lowest numbers. |
| SSDs | As many for each engine as the poorest node has; those with mounts, holders or swap on them are left out. Behind VMDs the numbers must be equal (fault 511). |
| Metadata on SSDs | One SSD: all roles. 2 to 5: one for `wal`, the rest for `meta` and `data`. 6 and more: two for `wal`. |
| Targets | Of the cores of a node two are the system's; each SSD gets `cores * 0.8 / SSDs` targets (rounded down), and there is a helper for each four. With fewer cores than that: a target for each SSD or core, no helpers. Without SSDs: 16 or as many as there are cores. |
| Ports | 1000 apart, closer where there is no room. Ports that were given are refused where those of two engines on one interface, or of an engine and the control plane, would overlap. |
"""  # noqa: E501 rows of tables


def page() -> str:
    """The whole page."""
    fabric = set(Fabric.model_fields)
    lines = [_HEAD, *_table(_global_rows()), "", _RULES]
    lines += [*_table(row for row in _engine_rows() if row.name in fabric), "", "### Keys of an engine", ""]
    lines += [*_table(row for row in _engine_rows() if row.name not in fabric), "", _ENGINE_RULES]
    lines += ["### Keys of a storage tier", "", *_table(_tier_rows()), "", _TIER_RULES]
    lines += ["### Keys of our own: daos_control", "", *_table(rows(Extensions, "daos_control.")), ""]
    lines += ["## daos_control.yml", "", *_table(_control_rows()), "", _GENERATING.rstrip()]
    return "\n".join(lines) + "\n"


def checked_in_page() -> Path:
    """Where the page is kept in the source tree."""
    return Path(__file__).parents[3] / "docs" / "configuration.md"


if __name__ == "__main__":
    sys.stdout.write(page())
