"""The packages that the machine is made from: which versions apt would install today, fetched and unpacked.

apt is asked with an empty list of installed packages and with directories of ours, so that the answer does not
depend on what this host has installed, and nothing of the host's is changed. Root is not needed.
"""

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

KERNEL = "linux-image-cloud-amd64"
# What the tests and the product's helper call, beside what these depend on.
SYSTEM = (
    "busybox-static",
    "e2fsprogs",
    "fdisk",
    "iproute2",
    "kmod",
    "mount",
    "ndctl",
    "numactl",
    "nvme-cli",
    "python3",
    "util-linux",
    "xfsprogs",
)
# Dependencies of the packages' installation scripts, which are never run here.
_LEFT_OUT = re.compile(
    r"^(libicu\d+|libperl.*|perl.*|debconf|adduser|dpkg|initramfs-tools.*|cpio|apparmor|linux-base)$"
)

_INSTALL = re.compile(r"^Inst (\S+) \((\S+) ", re.M)


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str

    @property
    def is_kernel(self) -> bool:
        return self.name.startswith("linux-image-")


def resolve(work: Path) -> tuple[Package, ...]:
    """The packages of the machine and their versions, sorted by name; `work` is a directory for apt's own files."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise LabError(
                f"the lab is made from Debian packages, and '{program}' is not here: run it on a Debian host"
            )
    output = _apt(work, "--simulate", "install", KERNEL, *SYSTEM)
    found = {Package(name, version) for name, version in _INSTALL.findall(output)}
    wanted = sorted((p for p in found if not _LEFT_OUT.match(p.name)), key=lambda package: package.name)
    if not any(package.is_kernel for package in wanted):
        raise LabError("apt knows no kernel for the lab; its lists may be old: apt-get update")
    return tuple(wanted)


def fingerprint(packages: tuple[Package, ...]) -> str:
    text = "\n".join(f"{package.name}={package.version}" for package in packages)
    return hashlib.sha256(text.encode()).hexdigest()


def fetch(work: Path, packages: tuple[Package, ...]) -> dict[Package, Path]:
    """Download the packages (apt checks their signatures); the file of each."""
    archives = work / "archives"
    _apt(work, "--download-only", "install", KERNEL, *SYSTEM)
    files = {}
    for package in packages:
        name = f"{package.name}_{package.version.replace(':', '%3a')}_"
        found = sorted(archives.glob(f"{name}*.deb"))
        if not found:
            raise LabError(f"apt fetched no {package.name} {package.version}; its lists may be old: apt-get update")
        files[package] = found[0]
    return files


def unpack(archive: Path, target: Path) -> None:
    """Unpack a package's files, without running its scripts. Links to directories in `target` are followed, where
    dpkg-deb by itself would put the package's directory in their place."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as packed:
        command = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", os.fspath(target)]
        done = subprocess.run(command, stdin=packed.stdout, capture_output=True, text=True, check=False)
    if packed.returncode != 0 or done.returncode != 0:
        raise LabError(f"{archive.name} cannot be unpacked\n{done.stderr.strip()}")


def _apt(work: Path, *arguments: str) -> str:
    for directory in ("archives/partial", "cache"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    settings = {
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Cache::archives": work / "archives",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    options = [text for key, value in settings.items() for text in ("-o", f"{key}={value}")]
    return _run("apt-get", "--quiet=2", "--yes", *options, *arguments)


def _run(*command: str) -> str:
    environment = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        hint = "; its lists may be missing: apt-get update" if command[0] == "apt-get" else ""
        raise LabError(f"{command[0]} failed{hint}\n{done.stderr.strip()}")
    return done.stdout
