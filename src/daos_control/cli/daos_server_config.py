"""`daos_server config generate`: a configuration for this host, without a running server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daos_control.faults import ControlError

if TYPE_CHECKING:
    from daos_control.config.generate import GenerateRequest
    from daos_control.config.generate.hardware import FabricInterface, LocalScans, Pmem, Ssd

_LOOPBACK = 772  # ARPHRD_LOOPBACK


class ThisHost:
    """The hardware of this host, out of sysfs and from libfabric.

    Nothing is changed: SSDs are found whichever driver they are bound to, so that none has to be prepared first.
    `root` is the directory that has proc and sys.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def numa(self) -> tuple[int, int]:
        from daos_control.network import topology

        nodes = topology.numa_nodes(self._root / "sys")
        return len(nodes), min((node.cores for node in nodes), default=0)

    def interfaces(self) -> "Sequence[FabricInterface]":
        from daos_control.config.generate.hardware import FabricInterface
        from daos_control.network import scan

        return [
            FabricInterface(one.provider, one.device, one.numa_node, one.priority, one.net_dev_class)
            for one in scan.scan(sysfs=self._root / "sys")
            if one.net_dev_class != _LOOPBACK
        ]

    def pmem(self) -> "Sequence[Pmem]":
        from daos_control.config.generate.hardware import Pmem
        from daos_control.storage import namespaces

        found = namespaces.scan((), self._root / "sys")
        return [Pmem(one.block_device, one.numa_node, one.size_bytes) for one in found]

    def ssds(self) -> "Sequence[Ssd]":
        from daos_control.config.generate.hardware import Ssd
        from daos_control.storage.nvme import host

        return [
            Ssd(address, max(device.node, 0))
            for device in host.snapshot(self._root).devices
            if not device.users
            for address in _addresses(device)
        ]

    def memory_kib(self) -> int:
        from daos_control.storage import memory

        return memory.snapshot(self._root).total_kib


def _addresses(device: Any) -> list[str]:
    """The device's own; of a VMD those of the controllers behind it, as far as the kernel shows them."""
    if not device.vmd:
        return [str(device.address)]
    behind = {disk.removeprefix("nvme").partition("n")[0] for disk in device.disks}
    address = device.address
    domain = f"{address.bus:02x}{address.device:02x}{address.function:02x}"
    return [f"{domain}:{number:02x}:00.0" for number in range(1, len(behind) + 1)] or [str(address)]


def generate(request: "GenerateRequest", scans: "LocalScans | None" = None) -> str:
    """The configuration as YAML. Raises Fault, ControlError or ConfigError."""
    from daos_control.config import generate as generator
    from daos_control.config.generate import hardware

    try:
        found = hardware.scan(scans or ThisHost())
    except OSError as error:
        raise ControlError(f"the hardware of this host cannot be read: {error}") from error
    return generator.to_yaml(generator.generate(found, request))


def run(**given: Any) -> None:
    """Print the configuration that the options ask for."""
    from daos_control.cli.generate_options import request_of

    request = request_of(**given, notice=lambda text: click.echo(f"NOTICE: {text}", err=True))
    click.echo(generate(request), nl=False)
