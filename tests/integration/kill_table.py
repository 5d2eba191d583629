"""What is found after kill -9 at every step of every format, and what becomes of it: the table of docs/storage.md.

PYTHONPATH=tests python -m integration.kill_table     (as root) runs all of it and prints the table
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daos_control.faults import Code, Fault
from daos_control.storage import devices, journal, mounts, signatures
from daos_control.storage.api import BdevTier, Class, EngineStorage, Role, ScmState, ScmTier
from daos_control.storage.helper import bdev, metadata, protocol, scm
from daos_control.storage.helper.steps import KILL_AT, Step
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from integration.storage_devices import FOREIGN, attach, contents, dcpm, ram, release, run

HEADER = ("Format of", "Killed", "State found", "Run again without `--force`")
COMPLETE = "complete"
_ALL_ROLES = Role.DATA | Role.META | Role.WAL
_OWNER = {"owner_uid": 0, "owner_gid": 0}
_SCM = protocol.ScmFormat(mountpoint="/m", **_OWNER)
_METADATA = protocol.MetadataFormat(root_path="/m", data_path="/m/daos_control", **_OWNER)
_BDEV = protocol.BdevFormat(properties=protocol.BdevProperties("file", ("/f",)), **_OWNER)
_DEVICE = devices.Device(Path("/dev/null"), "0:0", 0, False, False, "none", (), (), ())


@dataclass(frozen=True, slots=True)
class Row:
    """One place where a format is cut off: `killed` is "before mkfs"; `found` and `again` are what came of it."""

    format: str
    killed: str
    found: str = ""
    again: str = ""


class Scenario(Protocol):
    """Storage that is formatted, and what can be seen of it from outside."""

    async def format(self) -> None: ...

    async def again(self) -> None:
        """Without force."""
        ...

    async def state(self) -> str: ...

    def check(self) -> None:
        """Once it is complete."""
        ...


class Scm:
    def __init__(self, manager: StorageManager, storage: EngineStorage, *, force: bool = False) -> None:
        self._manager, self._storage, self._force = manager, storage, force
        self._device = storage.scm.device
        self._before = contents(self._device) if self._device else b""

    async def format(self) -> None:
        await self._manager.format_scm(self._storage, force=self._force)

    async def again(self) -> None:
        await self._manager.format_scm(self._storage, force=False)

    async def state(self) -> str:
        state = await self._manager.scm_state(self._storage)
        if state is ScmState.MOUNTED:
            return COMPLETE
        if self._device is None or state is ScmState.INCOMPLETE:
            return state.value
        untouched = contents(self._device) == self._before
        return f"{state.value}, {'untouched' if untouched else 'CHANGED'}"

    def check(self) -> None:
        mount = self._storage.scm.mount
        assert len([m for m in mounts.current() if m.path == str(mount)]) == 1
        assert journal.read(mount) is None
        if self._device is not None:
            mounts.unmount(mount)
            run("e2fsck", "-fn", os.fspath(self._device))
            assert [signature.kind for signature in signatures.probe(self._device)] == ["ext4"]


class Metadata:
    def __init__(self, manager: StorageManager, area: Path, device: Path | None) -> None:
        tiers = (BdevTier(1, Class.FILE, ("/nowhere",), 1, _ALL_ROLES),)
        scm_tier = ScmTier(Class.RAM, area / "daos0", size_gib=1)
        self._manager = manager
        self._storage = EngineStorage(0, scm_tier, tiers, metadata_path=area / "md", metadata_device=device)
        self._device = device
        self._before = contents(device) if device else b""

    async def format(self) -> None:
        await self._manager.format_metadata([self._storage])

    again = format

    async def state(self) -> str:
        if not await self._manager.metadata_needs_format(self._storage):
            return COMPLETE
        assert self._storage.metadata_path is not None
        if journal.read(self._storage.metadata_path) is not None:
            return ScmState.INCOMPLETE.value
        if self._device is None:
            return "absent"
        return f"unformatted, {'untouched' if contents(self._device) == self._before else 'CHANGED'}"

    def check(self) -> None:
        assert self._storage.metadata_dir.is_dir()
        assert self._storage.metadata_path is not None
        assert journal.read(self._storage.metadata_path) is None


class File:
    def __init__(self, manager: StorageManager, path: Path) -> None:
        self._manager, self._path = manager, path
        tier = BdevTier(1, Class.FILE, (os.fspath(path),), 1)
        self._storage = EngineStorage(0, ScmTier(Class.RAM, path.parent / "daos0", size_gib=1), (tier,))

    async def format(self) -> None:
        for result in await self._manager.format_bdevs(self._storage, force=False):
            if result.error is not None:
                raise result.error

    again = format

    async def state(self) -> str:
        if not self._path.exists():
            return "absent"
        return COMPLETE if self._path.stat().st_size == 1 << 30 else "CHANGED"

    def check(self) -> None:
        assert [entry.name for entry in self._path.parent.iterdir()] == [self._path.name]
        assert self._path.stat().st_mode & 0o777 == bdev._FILE_MODE


def _foreign(manager: StorageManager, area: Path) -> Scenario:
    device = attach(area / "device.img")
    FOREIGN["btrfs"](device)
    return Scm(manager, dcpm(area / "daos0", device), force=True)


FORMATS: dict[str, tuple[str, Sequence[Step], Callable[[StorageManager, Path], Scenario]]] = {
    "SCM of class `ram`": (
        scm.FORMAT,
        scm.ram_steps(_SCM, Path("/m")),
        lambda manager, area: Scm(manager, ram(area / "daos0")),
    ),
    "SCM of class `dcpm`, blank": (
        scm.FORMAT,
        scm.device_steps(_SCM, Path("/m"), _DEVICE),
        lambda manager, area: Scm(manager, dcpm(area / "daos0", attach(area / "device.img"))),
    ),
    "SCM of class `dcpm`, btrfs, with `--force`": (
        scm.FORMAT,
        scm.device_steps(_SCM, Path("/m"), _DEVICE),
        _foreign,
    ),
    "control metadata, a directory": (
        metadata.FORMAT,
        metadata.directory_steps(_METADATA, Path("/m")),
        lambda manager, area: Metadata(manager, area, None),
    ),
    "control metadata, a device": (
        metadata.FORMAT,
        metadata.device_steps(_METADATA, Path("/m"), _DEVICE),
        lambda manager, area: Metadata(manager, area, attach(area / "device.img")),
    ),
    "block device of class `file`": (
        bdev.FORMAT,
        bdev.file_steps(Path("/f"), 1 << 30, _BDEV),
        lambda manager, area: File(manager, area / "file"),
    ),
}


def places() -> list[Row]:
    """Every place, from the steps that the helper really runs; of programs also their middle."""
    return [
        Row(name, f"{when} {step.name}")
        for name, (_, steps, _) in FORMATS.items()
        for step in steps
        for when in (("before", "during", "after") if step.name == "mkfs" else ("before", "after"))
    ]


async def observe(place: Row, area: Path) -> Row:
    """Format, have the helper killed at the place, look, and format again."""
    operation, _, make = FORMATS[place.format]
    manager = StorageManager(HelperClient(), allow_no_dax=True)
    scenario = make(manager, area)
    when, step = place.killed.split()
    os.environ[KILL_AT] = f"{operation}:{step}:{when}"
    try:
        killed = await _fault_of(scenario.format())
    finally:
        del os.environ[KILL_AT]
    assert killed is not None
    assert "killed by signal 9" in killed.description, killed
    found = await scenario.state()
    refused = await _fault_of(scenario.again())
    again = await scenario.state()
    if refused is not None:
        assert refused.code == Code.STORAGE_ALREADY_FORMATTED, refused
        assert again == found
        again = "left alone, fault 101"
    if COMPLETE in (found, again):
        scenario.check()
    return Row(place.format, place.killed, found, again)


async def _fault_of(work: Awaitable[None]) -> Fault | None:
    try:
        await work
    except Fault as fault:
        return fault
    return None


def render(rows: Sequence[Row]) -> str:
    """The table, with places of one format that end alike in one line."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---" * len(HEADER) + "|"]
    groups: list[list[Row]] = []
    for row in rows:
        last = groups[-1][0] if groups else None
        if last and (last.format, last.found, last.again) == (row.format, row.found, row.again):
            groups[-1].append(row)
        else:
            groups.append([row])
    for group in groups:
        killed = ", ".join(row.killed for row in group)
        lines.append(f"| {group[0].format} | {killed} | {group[0].found} | {group[0].again} |")
    return "\n".join(lines) + "\n"


def parse(text: str) -> list[Row]:
    """The rows of a table in a text, one for each place again."""
    lines = text.splitlines()
    start = lines.index("| " + " | ".join(HEADER) + " |") + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        name, killed, found, again = (cell.strip() for cell in line.strip("|").split("|"))
        rows += [Row(name, place, found, again) for place in killed.split(", ")]
    return rows


def main() -> None:
    rows = []
    for place in places():
        with tempfile.TemporaryDirectory() as directory:
            try:
                rows.append(asyncio.run(observe(place, Path(directory))))
            finally:
                release(Path(directory))
    sys.stdout.write(render(rows))


if __name__ == "__main__":
    main()
