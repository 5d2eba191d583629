"""Loop devices, mount points and foreign contents for the tests of storage."""

import fcntl
import os
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from daos_control.storage import mounts
from daos_control.storage.api import Class, EngineStorage, ScmTier

DEVICE_BYTES = 64 << 20
_LOOP_ADD, _LOOP_REMOVE = 0x4C80, 0x4C81


def run(*command: str, check: bool = True) -> str:
    """Run a program of the operating system; its output."""
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    return subprocess.run(command, check=check, capture_output=True, text=True, env=environment).stdout


def attach(image: Path, *options: str, size: int = DEVICE_BYTES) -> Path:
    """A loop device over a new, blank file."""
    with image.open("wb") as file:
        file.truncate(size)
    return Path(run("losetup", "--find", "--show", *options, os.fspath(image)).strip())


def private_loop(image: Path, size: int = DEVICE_BYTES) -> Path:
    """A loop device over a new, blank file, with a number that nobody else is given: to vanish while it is used."""
    number = 1000 + os.getpid() % 60000
    with open("/dev/loop-control", "rb") as control:  # noqa: PTH123
        fcntl.ioctl(control, _LOOP_ADD, number)
    device = Path(f"/dev/loop{number}")
    if not device.exists():
        os.mknod(device, 0o600 | stat.S_IFBLK, os.makedev(7, number))
    with image.open("wb") as file:
        file.truncate(size)
    run("losetup", os.fspath(device), os.fspath(image))
    return device


def remove_loop(device: Path) -> None:
    """Take a private loop device away, node and all."""
    run("losetup", "--detach", os.fspath(device))
    with open("/dev/loop-control", "rb") as control:  # noqa: PTH123
        fcntl.ioctl(control, _LOOP_REMOVE, int(device.name.removeprefix("loop")))
    device.unlink(missing_ok=True)


def reattach(image: Path) -> Path:
    """Another loop device over the same file."""
    return Path(run("losetup", "--find", "--show", os.fspath(image)).strip())


def release(below: Path) -> None:
    """Unmount all below a directory, and detach the loop devices over files in it."""
    for mount in reversed(mounts.current()):
        if mount.path.startswith(f"{below}/"):
            with suppress(OSError):
                mounts.unmount(Path(mount.path))
    for line in run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        name, _, file = line.partition(" ")
        if file.strip().startswith(f"{below}/"):
            run("losetup", "--detach", name, check=False)


def ram(mount: Path, *, size_gib: int = 1, index: int = 0) -> EngineStorage:
    return EngineStorage(index, ScmTier(Class.RAM, mount, size_gib=size_gib, numa_node=0), ())


def dcpm(mount: Path, device: Path, *, index: int = 0) -> EngineStorage:
    return EngineStorage(index, ScmTier(Class.DCPM, mount, device=device), ())


def names(directory: Path) -> list[str]:
    """What is in a directory."""
    return sorted(entry.name for entry in directory.iterdir())


def contents(device: Path) -> bytes:
    """All bytes of a device, past the page cache's back."""
    return device.read_bytes()


def make_partition_table(device: Path) -> None:
    """An MBR with one partition of type Linux."""
    sector = bytearray(512)
    sector[446:462] = (
        bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    )
    sector[510:512] = b"\x55\xaa"
    with device.open("r+b") as file:
        file.write(sector)


def make_btrfs(device: Path) -> None:
    """As much of a Btrfs as identifies one; it lies at 64 KiB, where mkfs.ext4 need not write."""
    with device.open("r+b") as file:
        file.seek(0x10000)
        block = bytearray(4096)
        block[0x30:0x38] = (0x10000).to_bytes(8, "little")
        block[0x40:0x48] = b"_BHRfS_M"
        file.write(block)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "ext4 of somebody else": lambda device: run("mkfs.ext4", "-q", "-L", "precious", os.fspath(device)),
    "ext2": lambda device: run("mkfs.ext2", "-q", "-L", "daos", os.fspath(device)),
    "swap": lambda device: run("mkswap", os.fspath(device)),
    "partition table": make_partition_table,
    "btrfs": make_btrfs,
}
