"""A host with persistent memory that behaves: `ipmctl` and `ndctl` as one program over a file that holds what the
hardware would. Namespaces have loop devices for block devices, so that mounts and signatures on them are real."""

import json
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daos_control.storage.helper_client import HelperClient
from integration import pmem_program
from integration.storage_devices import attach

GIB = 1 << 30
MIB = 1 << 20
UNIT = 16 * MIB

_HELPER = """
import sys
from pathlib import Path
from daos_control.storage.pmem import library, nvdimm
nvdimm.SYSFS = Path(__file__).resolve().parent / "sys"
library.NAMES = ()
from daos_control.cli.helper import main
sys.exit(main())
"""

_CHANGES = ("create", "delete", "destroy", "disable", "enable", "init")


@dataclass(frozen=True, slots=True)
class PmemHost:
    """The files of one host; `programs` is to be first on the PATH."""

    home: Path

    @property
    def programs(self) -> Path:
        return self.home / "bin"

    @property
    def helper(self) -> HelperClient:
        """The product's helper in a process of its own, which takes this for its host."""
        return HelperClient(self.home / "daos_server_helper")

    @property
    def state(self) -> Any:
        return json.loads((self.programs / "host.json").read_text())

    def change(self, **values: object) -> None:
        (self.programs / "host.json").write_text(json.dumps(self.state | values))

    def changes(self) -> list[str]:
        """The commands since the last call that change something."""
        file = self.programs / "commands"
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("")
        return [line for line in lines if line.split()[1].startswith(_CHANGES)]

    def reboot(self) -> None:
        """What the firmware makes of goals: regions anew, and nothing of what was in them."""
        state = self.state
        for socket in state["goals"]:
            for name in [name for name, n in state["namespaces"].items() if n["node"] == socket]:
                del state["namespaces"][name]
            state["regions"][f"region{socket}"] = region(socket)
        self.change(**state | {"goals": []})

    def device(self, namespace: str) -> Path:
        return Path("/dev") / self.state["namespaces"][namespace]["blockdev"]


def region(socket: int, *, size: int = 8 * GIB, **changes: object) -> dict[str, object]:
    """As the firmware makes one."""
    return {
        "socket": socket,
        "node": socket,
        "size": size,
        "align": UNIT,
        "kind": "AppDirect",
        "iset": 100 + socket,
        "dimm": f"nmem{socket}",
        "enabled": True,
    } | changes


def namespace(socket: int, device: str, *, size: int = 8 * GIB, **changes: object) -> dict[str, object]:
    """A namespace of a socket's region, enabled, on a loop device."""
    return {
        "region": f"region{socket}",
        "size": size,
        "mode": "fsdax",
        "blockdev": device,
        "node": socket,
        "uuid": f"uuid-{device}",
        "enabled": True,
    } | changes


def make(home: Path, *, sockets: Sequence[int] = (0, 1), devices: int = 4, optane: bool = True) -> PmemHost:
    """A host with a module on each socket; the modules are Optane, or of a kind that only the kernel knows.

    Its loop devices are below `home`, for `storage_devices.release`.
    """
    host = PmemHost(home)
    host.programs.mkdir()
    for name in ("ipmctl", "ndctl") if optane else ("ndctl",):
        _program(host.programs / name, "-IS", Path(pmem_program.__file__).read_text())
    _program(home / "daos_server_helper", "-I", _HELPER)
    loops = [attach(home / f"device{number}.img").name for number in range(devices)]
    state = {
        "version": "03.00.00.0468",
        "modules": [{"socket": socket} for socket in sockets],
        "regions": {},
        "namespaces": {},
        "goals": [],
        "devices": loops,
    }
    (host.programs / "host.json").write_text(json.dumps(state))
    if not optane:
        host.change(regions={f"region{socket}": region(socket) for socket in sockets})
        for socket in sockets:
            _sysfs(home / "sys/bus/nd/devices", socket)
    return host


def _program(path: Path, options: str, text: str) -> None:
    path.write_text(f"#!{sys.executable} {options}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _sysfs(devices: Path, socket: int) -> None:
    files = {
        f"nmem{socket}/commands": "get_size get_data set_data",
        f"nmem{socket}/nfit/handle": f"0x{socket + 1:x}",
        f"nmem{socket}/nfit/phys_id": f"0x{socket:04x}",
        f"nmem{socket}/nfit/vendor": "0x8680",
        f"nmem{socket}/nfit/id": f"8680-{socket:04d}",
        f"nmem{socket}/nfit/device": "0x0100",
        f"nmem{socket}/nfit/flags": "",
        f"region{socket}/mappings": "1",
        f"region{socket}/mapping0": f"nmem{socket},0,{8 * GIB},0",
        f"region{socket}/numa_node": str(socket),
    }
    for name, text in files.items():
        path = devices / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def search_path(host: PmemHost) -> str:
    """A PATH on which the host's programs are before the machine's own."""
    return f"{host.programs}{os.pathsep}{os.environ['PATH']}"
