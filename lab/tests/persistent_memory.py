"""Namespaces of persistent memory, made and destroyed with ndctl: the ground truth beside which the product's own
preparation and reset stand. A product's call can take the place of `create` and `reset` in the tests."""

from dataclasses import dataclass
from pathlib import Path

from lab.hardware import NODES
from lab.tests.commands import read, run, run_json, wait_until

BUS = Path("/sys/bus/nd/devices")
_DRIVER = Path("/sys/bus/acpi/drivers/nfit")


@dataclass(frozen=True, slots=True)
class Namespace:
    name: str
    mode: str
    uuid: str
    block_device: Path
    size_bytes: int


def regions() -> dict[int, str]:
    """The region of each NUMA node."""
    return {int(read(path / "numa_node")): path.name for path in BUS.glob("region*")}


def dimms() -> list[str]:
    return sorted(path.name for path in BUS.glob("nmem*"))


def free_bytes(node: int) -> int:
    return int(read(BUS / regions()[node] / "available_size"))


def create(node: int, mode: str = "fsdax", size_mib: int | None = None, *, blank: bool = True) -> Namespace:
    """A namespace on a node's memory, of all that is free unless a size is given. What was in that memory before is
    still there, unless it is made blank."""
    size = ["--size", f"{size_mib}M"] if size_mib else []
    made = run_json("ndctl", "create-namespace", "--region", regions()[node], "--mode", mode, *size)
    device = Path("/dev") / made["blockdev"]
    wait_until(device.exists, str(device))
    if blank:
        run("wipefs", "--all", "--quiet", str(device))
    return Namespace(made["dev"], made["mode"], made["uuid"], device, made["size"])


def destroy(namespace: Namespace) -> None:
    run("ndctl", "destroy-namespace", "--force", namespace.name)
    wait_until(lambda: not namespace.block_device.exists(), f"the end of {namespace.block_device}")


def forget_labels() -> None:
    """As modules come from the factory: blank label areas, and all of each region in a namespace of mode raw."""
    run("ndctl", "disable-region", "all")
    run("ndctl", "disable-dimm", "all")
    run("ndctl", "zero-labels", "all")
    # That a module has labels, the kernel remembers for as long as the driver has it.
    (device,) = _DRIVER.glob("ACPI0012:*")
    (_DRIVER / "unbind").write_text(device.name)
    (_DRIVER / "bind").write_text(device.name)
    wait_until(lambda: len(list(Path("/dev").glob("pmem*"))) == len(NODES), "the raw namespaces")


def reset() -> None:
    """All namespaces go, and what the label areas hold. Needed also at first: on a module without labels the kernel
    makes one namespace of mode raw, and nothing is free."""
    run("ndctl", "disable-region", "all")
    run("ndctl", "init-labels", "--force", "all")
    run("ndctl", "enable-region", "all")
