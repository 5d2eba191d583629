"""What the configuration says about storage beside the tiers themselves."""

from dataclasses import dataclass
from typing import Self

from daos_control.config.models import EngineConfig, ServerConfig
from daos_control.faults import ControlError

RDB_BYTES_DEFAULT = 1 << 30


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """`targets` and `metadata_caps` (DAOS_MD_CAP of its environment, MiB as text; empty where it is not set) are
    per engine, by index."""

    disable_hugepages: bool
    targets: tuple[int, ...]
    metadata_caps: tuple[str, ...]

    @classmethod
    def of(cls, config: ServerConfig) -> Self:
        return cls(
            disable_hugepages=config.disable_hugepages,
            targets=tuple(engine.targets for engine in config.engines),
            metadata_caps=tuple(_variable(engine, "DAOS_MD_CAP") for engine in config.engines),
        )

    def rdb_bytes(self, engine: int) -> int:
        """Size of the file that an engine keeps a pool's metadata in; ControlError where its cap is no number."""
        text = self.metadata_caps[engine]
        if not text:
            return RDB_BYTES_DEFAULT
        if not (text.isascii() and text.isdigit()):
            raise ControlError(f"invalid RDB file size: {text!r} does not define a plain int")
        return int(text) << 20


def _variable(engine: EngineConfig, name: str) -> str:
    values = [entry.partition("=")[2] for entry in engine.env_vars if entry.partition("=")[0] == name]
    return values[-1] if values else ""
