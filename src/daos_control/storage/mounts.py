"""What is mounted where, and the mount and unmount system calls."""

import ctypes
import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

MS_NOATIME = 1024

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo. `number` is the "major:minor" of the file system's device, `options` are those of
    the mount and `super_options` those of the file system."""

    path: str
    number: str
    root: str
    filesystem: str
    source: str
    options: frozenset[str]
    super_options: frozenset[str]

    def __str__(self) -> str:
        return f"{self.filesystem} file system of {self.source}"


def parse(text: str) -> tuple[Mount, ...]:
    """The mounts in a text of the form of /proc/self/mountinfo, in their order; other lines are left out."""
    mounts = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if not dash or len(left) < 6 or len(right) < 3:
            continue
        mounts.append(
            Mount(
                path=_unescape(left[4]),
                number=left[2],
                root=_unescape(left[3]),
                filesystem=right[0],
                source=_unescape(right[1]),
                options=frozenset(left[5].split(",")),
                super_options=frozenset(right[2].split(",")),
            )
        )
    return tuple(mounts)


def current() -> tuple[Mount, ...]:
    """All mounts of this process's mount namespace."""
    return parse(MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape"))


def at(path: Path, mounts: tuple[Mount, ...] | None = None) -> Mount | None:
    """What is mounted at exactly this path (the topmost, where there are several); None where nothing is."""
    wanted = os.fspath(resolve(path))
    return next((m for m in reversed(current() if mounts is None else mounts) if m.path == wanted), None)


def hidden(mount: Mount) -> bool:
    """Whether another file system, mounted later at a directory above, stands in front of a mount."""
    try:
        number = os.stat(mount.path).st_dev  # noqa: PTH116 - a path as the kernel writes it
    except FileNotFoundError:
        return True
    except PermissionError:  # not ours to look at, so not ours to judge
        return False
    return f"{os.major(number)}:{os.minor(number)}" != mount.number


def holding(path: Path, mounts: tuple[Mount, ...] | None = None) -> Mount | None:
    """The mount that a path is on; the path itself need not exist."""
    wanted = resolve(path)
    best: Mount | None = None
    for mount in current() if mounts is None else mounts:
        on_it = wanted.is_relative_to(mount.path)
        if on_it and (best is None or len(mount.path) >= len(best.path)):
            best = mount
    return best


def resolve(path: Path) -> Path:
    """The path as mountinfo writes it: links in its parents followed, its last part left as it is."""
    return Path(os.path.realpath(path.parent)) / path.name


def mount(source: str, target: Path, filesystem: str, flags: int, options: str) -> None:
    """mount(2); raises OSError."""
    result = _libc().mount(
        source.encode(), os.fsencode(target), filesystem.encode(), ctypes.c_ulong(flags), options.encode()
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(target))


def unmount(target: Path) -> bool:
    """umount(2); False where nothing was mounted there. Raises OSError (EBUSY where it is in use)."""
    if at(target) is None:
        return False
    if _libc().umount2(os.fsencode(resolve(target)), 0) != 0:
        number = ctypes.get_errno()
        if number == errno.EINVAL and at(target) is None:  # somebody else was faster
            return False
        raise OSError(number, os.strerror(number), os.fspath(target))
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
