"""What is on the block devices of namespaces, and who uses them."""

from collections.abc import Iterable
from pathlib import Path

from daos_control.storage import decisions, devices
from daos_control.storage.pmem.model import Holding, Namespace

DEVICES = Path("/dev")


def inspect(namespaces: Iterable[Namespace]) -> tuple[Holding, ...]:
    """Look at namespaces that are enabled, without changing them. Raises Fault or OSError."""
    return tuple(_inspect(namespace) for namespace in namespaces if namespace.enabled)


def _inspect(namespace: Namespace) -> Holding:
    if not namespace.block_device:
        # A character device: whoever made it that way put to it what no signature tells of.
        return Holding(namespace.name, foreign=f"memory in {namespace.mode} mode")
    device = devices.inspect(DEVICES / namespace.block_device)
    foreign = [str(signature) for signature in device.signatures if not decisions.is_ours(signature)]
    return Holding(namespace.name, device.mounted_at, device.users, ", ".join(foreign))
