"""What is asked of the generator."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from daos_control.config.values import PORT_MAX
from daos_control.faults import ControlError

_PROVIDER_ALIASES = {"all": "", "ofi+verbs": "ofi+verbs;ofi_rxm"}


class NetClass(IntEnum):
    """Kinds of networks that engines use, by the kernel's ARP types."""

    ETHERNET = 1
    INFINIBAND = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """How the configuration is to be.

    `engines` 0 stands for one for each NUMA node, `provider` "" for the best one. `tmpfs_scm` takes RAM instead of
    persistent memory for SCM; with `metadata_path` as well, metadata are kept on SSDs, and the control plane's own
    in that directory. `scm_only` does without SSDs. `fabric_ports` are those of the engines, in order.
    """

    replicas: tuple[str, ...] = ("localhost",)
    engines: int = 0
    scm_only: bool = False
    net_class: NetClass = NetClass.INFINIBAND
    provider: str = ""
    tmpfs_scm: bool = False
    metadata_path: Path | None = None
    fabric_ports: tuple[int, ...] = ()

    @property
    def wanted_provider(self) -> str:
        """The provider as scans name it; "" for any."""
        return _PROVIDER_ALIASES.get(self.provider.lower(), self.provider)


def parse_replicas(text: str) -> tuple[str, ...]:
    """The hosts of a list with commas. ControlError where there are none."""
    replicas = tuple(part.strip() for part in text.split(",") if part.strip())
    if not replicas:
        raise ControlError("no hosts are named for the management service (--ms-replicas)")
    return replicas


def parse_ports(text: str) -> tuple[int, ...]:
    """The ports of a list with commas; ControlError where one is none."""
    ports = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        if not (part.isascii() and part.isdigit() and len(part) <= 5 and 1 <= int(part) <= PORT_MAX):
            raise ControlError(f'"{part}" is no port (--fabric-ports): 1 to {PORT_MAX} can be given')
        ports.append(int(part))
    return tuple(ports)
