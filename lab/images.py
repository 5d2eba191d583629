"""What the machine boots from: its kernel, its first files, its system, the project's libraries, the project.

The system and the libraries are kept between runs, under a name made from the versions in them and from the text of
the modules that make them; the project's own files are put into an image for each run.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import packages
from lab.cpio import Archive
from lab.errors import LabError
from lab.modules import ModuleTree
from lab.packages import Package

HERE = Path(__file__).parent
PROJECT = HERE.parent
MIB = 1 << 20

_MERGED = ("bin", "lib", "lib64", "sbin")  # links to the same below /usr
_EMPTY = ("dev", "proc", "sys", "run", "tmp", "root", "mnt", "var/tmp", "lab/libraries", "lab/project")
_NOT_NEEDED = ("doc", "man", "locale", "info", "bash-completion", "lintian", "perl", "perl5", "i18n", "misc")
_TOOLS = (
    *("pip*", "setuptools*", "wheel*", "mypy*", "*mypyc*", "ruff*", "grpc_tools*", "ast_serialize*", "librt*"),
    *("hypothesis*", "*xdist*", "__editable__*"),
)
_RECIPE = tuple(
    HERE / name for name in ("cpio.py", "guest/first_init.sh", "images.py", "modules.py", "packages.py")
)
_PROJECT_FILES = ("src", "lab", "tests", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Images:
    """Files that QEMU is given; none of them is changed by the machine."""

    kernel: Path
    initial: Path
    system: Path
    libraries: Path


def prepare(cache: Path) -> Images:
    """The images of today's packages, made where they are not there yet. Raises LabError."""
    with locked(cache), tempfile.TemporaryDirectory(prefix="build-", dir=cache) as scratch:
        work = Path(scratch)
        wanted = packages.resolve(work / "apt")
        _check_python(wanted)
        system = cache / f"system-{_key(packages.fingerprint(wanted))}"
        if not system.exists():
            _tell(f"lab: making the machine's system from {len(wanted)} Debian packages (once)")
            _make_system(work, wanted, work / "system")
            _replace(cache, "system-*", work / "system", system)
        libraries = cache / f"libraries-{_key(_library_versions())}.img"
        if not libraries.exists():
            _make_libraries(work, work / "libraries.img")
            _replace(cache, "libraries-*", work / "libraries.img", libraries)
    return Images(system / "kernel", system / "initial", system / "system.img", libraries)


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """One process at a time makes or removes things in the lab's directory."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for abandoned in state.glob("build-*"):  # of a process that was killed: nobody else holds the lock
            shutil.rmtree(abandoned, ignore_errors=True)
        yield


def make_project(image: Path, request: str) -> None:
    """An image of the project's sources and tests, with the request that the machine carries out."""
    with tempfile.TemporaryDirectory(prefix="project-", dir=image.parent) as scratch:
        tree = Path(scratch)
        for name in _PROJECT_FILES:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("*.egg-info"))
            elif source.exists():
                shutil.copy2(source, tree / name)
        (tree / "request").write_text(request, encoding="utf-8")
        # Compiling is slow in the machine.
        command = [sys.executable, "-m", "compileall", "-q", "-j0", *_sources(tree)]
        subprocess.run(command, check=False, capture_output=True)
        _make_file_system(tree, image)


def _make_system(work: Path, wanted: tuple[Package, ...], target: Path) -> None:
    root, kernel = work / "root", work / "kernel"
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    kernel.mkdir()
    for package, archive in packages.fetch(work / "apt", wanted).items():
        packages.unpack(archive, kernel if package.is_kernel else root)
    for name in _NOT_NEEDED:
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
    for name in _EMPTY:
        (root / name).mkdir(parents=True, exist_ok=True)
    _write_configuration(root)
    _link_busybox(root)
    modules = ModuleTree(kernel)
    target.mkdir()
    _make_file_system(root, target / "system.img", spare=128 * MIB)
    (target / "initial").write_bytes(_first_files(root, modules))
    found = sorted((kernel / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise LabError(f"expected one kernel in the kernel package, found {len(found)}")
    shutil.copy2(found[0], target / "kernel")


def _write_configuration(root: Path) -> None:
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\ndaos_server:x:990:990::/:/bin/false\n")
    (etc / "group").write_text("root:x:0:\ndaos_server:x:990:\n")
    (etc / "hosts").write_text("127.0.0.1 localhost daos-lab\n")
    (etc / "mtab").symlink_to("/proc/self/mounts")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    local = root / f"usr/local/lib/python{version}/dist-packages"
    local.mkdir(parents=True, exist_ok=True)
    # Read also by isolated interpreters (python -I), which the product's helper is.
    (local / "lab.pth").write_text("/lab/libraries\n/lab/project/src\n")


def _link_busybox(root: Path) -> None:
    """Busybox stands in for each program that no package brought (the shell, reboot, ...)."""
    busybox = root / "usr/bin/busybox"
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in listed:
        if not any(os.path.lexists(root / "usr" / place / name) for place in ("bin", "sbin")):
            (root / "usr/bin" / name).symlink_to("busybox")


def _first_files(root: Path, modules: ModuleTree) -> bytes:
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "new", "modules"):
        archive.directory(name)
    archive.device("dev/console", 5, 1)
    archive.file("init", (HERE / "guest/first_init.sh").read_bytes(), 0o755)
    archive.file("bin/busybox", (root / "usr/bin/busybox").read_bytes(), 0o755)
    programs = ("sh", "mount", "insmod", "cat", "basename", "dirname", "sleep", "reboot", "switch_root")
    for name in programs:
        archive.link(f"bin/{name}", "busybox")
    order = modules.ordered()
    archive.file("modules/order", "".join(f"{name}\n" for name in order).encode())
    for name in order:
        archive.file(f"modules/{name}.ko", modules.content(name))
    return archive.encode()


def _make_libraries(work: Path, image: Path) -> None:
    tree = work / "libraries"
    source = Path(sysconfig.get_path("purelib"))
    shutil.copytree(source, tree, copy_function=_link, ignore=shutil.ignore_patterns(*_TOOLS))
    _make_file_system(tree, image)


def _make_file_system(tree: Path, image: Path, spare: int = 4 * MIB) -> None:
    """An ext4 file system with a tree's files, and some room."""
    sizes = [path.lstat().st_size for path in tree.rglob("*")]
    blocks = sum(-(-size // 4096) + 1 for size in sizes)
    with image.open("wb") as file:
        file.truncate(blocks * 4096 * 11 // 10 + 8 * MIB + spare)
    program = shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise LabError("the program 'mke2fs' is missing; on Debian: apt-get install e2fsprogs")
    options = ["-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-m", "0", "-E", "root_owner=0:0"]
    inodes = ["-N", str(len(sizes) + 4096)]
    done = subprocess.run(
        [program, *options, *inodes, "-d", tree, image], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"mke2fs failed\n{done.stderr.strip()}")


def _check_python(wanted: tuple[Package, ...]) -> None:
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    theirs = next((p.version for p in wanted if p.name == "python3"), "none")
    if not theirs.startswith(f"{ours}."):
        raise LabError(
            f"the project's environment is of Python {ours}, and the machine's system has {theirs}: compiled "
            "libraries of the one do not load in the other. Make the environment with Debian's own python3: "
            "rm -rf .venv; PYTHON=/usr/bin/python3 ./dev setup"
        )


def _library_versions() -> str:
    return "\n".join(sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def _key(text: str) -> str:
    """A short name for versions, and for the modules here that make something of them."""
    recipe = b"".join(path.read_bytes() for path in _RECIPE)
    return hashlib.sha256(text.encode() + recipe).hexdigest()[:16]


def _sources(tree: Path) -> list[str]:
    return [os.fspath(tree / name) for name in ("src", "lab", "tests") if (tree / name).exists()]


def _replace(cache: Path, pattern: str, made: Path, target: Path) -> None:
    """Put what was made in its place; what it replaces goes, unless a running machine still has it open."""
    for old in cache.glob(pattern):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    made.rename(target)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
