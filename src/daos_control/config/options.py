"""What `daos_server start` was told on its command line, apart from what belongs to the configuration."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """How to run; `config_path` is None where the server runs without a file."""

    debug: bool = False
    json_logging: bool = False
    syslog: bool = False
    auto_format: bool = False
    insecure: bool = False
    allow_proxy: bool = False
    config_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Values of the command line that take the place of the file's; None leaves the file's as it is.

    `storage` is the SCM mount point of engine 0; `targets`, `nr_xs_helpers` and `first_core` are of all engines.
    `insecure` and `embedded_engine` can only be switched on.
    """

    port: int | None = None
    storage: Path | None = None
    modules: str | None = None
    targets: int | None = None
    nr_xs_helpers: int | None = None
    first_core: int | None = None
    name: str | None = None
    socket_dir: Path | None = None
    insecure: bool = False
    embedded_engine: bool = False
