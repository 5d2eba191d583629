"""The machine as QEMU's command line."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import hardware
from lab.errors import LabError
from lab.hardware import MIB, NvmeController
from lab.images import Images

PROGRAM = "qemu-system-x86_64"
_KERNEL_OPTIONS = (
    "console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on nokaslr mitigations=off "
    "audit=0 tsc=reliable no_timer_check rcupdate.rcu_expedited=1"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """One run: `directory` takes the disks' files and what the machine says."""

    images: Images
    directory: Path
    accelerator: str = "tcg"
    interactive: bool = False

    @property
    def project(self) -> Path:
        return self.directory / "project.img"

    @property
    def console(self) -> Path:
        """What the kernel wrote."""
        return self.directory / "console.log"

    @property
    def result(self) -> Path:
        return self.directory / "result"


def find() -> str:
    """QEMU's program. Raises LabError where it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise LabError(
            f"the program '{PROGRAM}' is missing; on Debian: "
            "apt-get install --no-install-recommends qemu-system-x86"
        )
    return program


def command(machine: Machine) -> list[str]:
    """The command that runs the machine; its disks' files are made."""
    memory = hardware.MEMORY_MIB * len(hardware.NODES)
    nvdimms = sum(nvdimm.size_mib for nvdimm in hardware.NVDIMMS)
    slots = len(hardware.NVDIMMS)
    # Single-threaded emulation cannot use the second core; more cores than the host has help nobody.
    accelerator = "tcg,thread=multi,tb-size=512" if machine.accelerator == "tcg" else machine.accelerator
    cpu = "max,la57=off" if machine.accelerator == "tcg" else "host"
    options = [
        *("-name", "daos-lab"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-sandbox", "on,spawn=deny,elevateprivileges=deny"),
        *(
            "-machine",
            "q35,nvdimm=on,nvdimm-persistence=mem-ctrl,hpet=off,vmport=off",
            "-accel",
            accelerator,
            "-cpu",
            cpu,
        ),
        *("-smp", f"{len(hardware.NODES)},sockets={len(hardware.NODES)},cores=1,threads=1"),
        *("-m", f"{memory}M,slots={slots},maxmem={memory + nvdimms + 1024}M"),
        *("-kernel", os.fspath(machine.images.kernel), "-initrd", os.fspath(machine.images.initial)),
        *("-append", _KERNEL_OPTIONS),
        *_channels(machine),
        *_system_disks(machine),
        *_nodes(),
        *_nvdimms(machine.directory),
    ]
    for controller in hardware.CONTROLLERS:
        options += _nvme(controller, machine.directory)
    for card in hardware.CARDS:
        # A network of its own, with nobody else on it.
        options += ["-netdev", f"hubport,id=net{card.node},hubid={card.node}"]
        options += ["-device", f"virtio-net-pci,netdev=net{card.node},mac={card.mac},romfile=,bus=card{card.node}"]
    return [find(), *options]


def _channels(machine: Machine) -> list[str]:
    """The console; the tests' output, on QEMU's standard output; and the result."""
    output = "null,id=output" if machine.interactive else "stdio,id=output,signal=off"
    console = "stdio,id=console,signal=off" if machine.interactive else f"file,id=console,path={machine.console}"
    return [
        *("-chardev", console, "-serial", "chardev:console"),
        *("-device", "virtio-serial-pci", "-device", "virtio-rng-pci"),
        *("-chardev", output, "-device", "virtserialport,chardev=output,name=lab.output"),
        *("-chardev", f"file,id=result,path={machine.result}"),
        *("-device", "virtserialport,chardev=result,name=lab.result"),
    ]


def _system_disks(machine: Machine) -> list[str]:
    """The machine's own file systems; what it writes there is forgotten."""
    disks = {"system": machine.images.system, "libraries": machine.images.libraries, "project": machine.project}
    options = []
    for name, image in disks.items():
        options += ["-drive", f"if=none,id={name},file={image},format=raw,snapshot=on"]
        options += ["-device", f"virtio-blk-pci,drive={name},serial={name}"]
    return options


def _nodes() -> list[str]:
    """CPU, memory, and a PCIe root bus with two ports for each node."""
    options = []
    for node in hardware.NODES:
        options += [
            *("-object", f"memory-backend-ram,id=ram{node},size={hardware.MEMORY_MIB}M"),
            *("-numa", f"node,nodeid={node},cpus={node},memdev=ram{node}"),
            *("-device", f"pxb-pcie,id=root{node},bus_nr={hardware.FIRST_BUS[node]},numa_node={node},bus=pcie.0"),
            *("-device", f"pcie-root-port,id=nvme{node},bus=root{node},chassis={2 * node + 1},addr=0"),
            *("-device", f"pcie-root-port,id=card{node},bus=root{node},chassis={2 * node + 2},addr=1"),
        ]
    return [*options, "-numa", "dist,src=0,dst=1,val=21"]


def _nvdimms(directory: Path) -> list[str]:
    options = []
    for nvdimm in hardware.NVDIMMS:
        number, path = nvdimm.node, directory / f"nvdimm{nvdimm.node}"
        size = nvdimm.size_mib * MIB + hardware.LABEL_BYTES
        _blank(path, size)
        options += [
            "-object",
            f"memory-backend-file,id=pmem{number},mem-path={path},size={size},share=on",
            "-device",
            f"nvdimm,id=nvdimm{number},memdev=pmem{number},label-size={hardware.LABEL_BYTES},node={nvdimm.node}",
        ]
    return options


def _nvme(controller: NvmeController, directory: Path) -> list[str]:
    name = f"ctrl{controller.node}"
    options = ["-device", f"nvme,id={name},serial={controller.serial},bus=nvme{controller.node}"]
    for namespace in controller.namespaces:
        path = directory / f"{name}-{namespace.nsid}"
        _blank(path, namespace.size_mib * MIB)
        block = f"logical_block_size={namespace.block_bytes},physical_block_size={namespace.block_bytes}"
        options += [
            *("-drive", f"if=none,id={name}n{namespace.nsid},file={path},format=raw,cache=unsafe,discard=unmap"),
            *("-device", f"nvme-ns,drive={name}n{namespace.nsid},bus={name},nsid={namespace.nsid},{block}"),
        ]
    return options


def _blank(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
