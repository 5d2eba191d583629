"""What a demo system consists of: its addresses, its ports, its files."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

SYSTEM = "daos_server"
SCM_GIB = 4  # the least that DAOS accepts; memory is taken only as pools fill it
TARGETS = 2
FIRST_CONTROL_PORT = 10001
_FIRST_FABRIC_PORT = 31416
_SOCKET_PATH_MAX = 107
_SOCKET_NAME = "daos_engine_4194304.sock"


@dataclass(frozen=True, slots=True)
class Host:
    """One server: its loopback address and the fabric ports of its engines."""

    index: int
    address: str
    fabric_ports: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"host{self.index + 1}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A demo system in `state`; `sockets` is a short directory for its Unix sockets."""

    state: Path
    sockets: Path
    port: int
    hosts: tuple[Host, ...]

    @classmethod
    def plan(cls, state: Path, *, hosts: int, engines: int, port: int = FIRST_CONTROL_PORT) -> Self:
        """Choose addresses 127.0.0.1, .2, ... and ports that are free on them now; `port` is tried first."""
        addresses = [f"127.0.0.{index + 1}" for index in range(hosts)]
        offset = port - FIRST_CONTROL_PORT
        port = _first_free(addresses, port, 1)
        fabric = _first_free(["127.0.0.1"], _fabric_port(offset), hosts * engines)
        planned = tuple(
            Host(i, address, tuple(fabric + i * engines + e for e in range(engines)))
            for i, address in enumerate(addresses)
        )
        return cls(state, _socket_directory(state), port, planned)

    @property
    def certificates(self) -> Path:
        return self.state / "certs"

    @property
    def control_config(self) -> Path:
        return self.state / "daos_control.yml"

    def host_dir(self, host: Host) -> Path:
        return self.state / host.name

    def server_config(self, host: Host) -> Path:
        return self.host_dir(host) / "daos_server.yml"

    def server_log(self, host: Host) -> Path:
        return self.host_dir(host) / "daos_server.log"

    def mount(self, host: Host, engine: int) -> Path:
        return self.host_dir(host) / f"scm{engine}"

    def socket_dir(self, host: Host) -> Path:
        return self.sockets / host.name

    @property
    def ranks(self) -> int:
        return sum(len(host.fabric_ports) for host in self.hosts)

    def save(self) -> None:
        data = asdict(self) | {"state": str(self.state), "sockets": str(self.sockets)}
        _write(self.state / "layout.json", json.dumps(data, indent=2))

    @classmethod
    def saved(cls, state: Path) -> Self | None:
        """The layout of the demo that was last started in `state`, if any."""
        try:
            data = json.loads((state / "layout.json").read_text())
            hosts = tuple(Host(h["index"], h["address"], tuple(h["fabric_ports"])) for h in data["hosts"])
            return cls(state, Path(data["sockets"]), int(data["port"]), hosts)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_configs(self) -> None:
        """The files that a person would write for such a system."""
        for host in self.hosts:
            self.host_dir(host).mkdir(parents=True, exist_ok=True)
            self.socket_dir(host).mkdir(parents=True, exist_ok=True)
            _write(self.server_config(host), self._server_yaml(host))
        _write(self.control_config, self._control_yaml())

    def _server_yaml(self, host: Host) -> str:
        engines = "".join(self._engine_yaml(host, index) for index in range(len(host.fabric_ports)))
        return (
            f"name: {SYSTEM}\n"
            f"port: {self.port}\n"
            f"mgmt_svc_replicas: ['{self.hosts[0].address}:{self.port}']\n"
            f"socket_dir: {self.socket_dir(host)}\n"
            "provider: ofi+tcp\n"
            "disable_hugepages: true\n"
            "system_ram_reserved: 1\n"
            "control_log_mask: INFO\n"
            f"fault_path: /{host.name}\n"
            f"{self._transport_yaml('server')}"
            f"  client_cert_dir: {self.certificates / 'clients'}\n"
            f"engines:\n{engines}"
            "# What DAOS's own server does not know; without this map it takes the file as well.\n"
            "daos_control:\n"
            "  embedded_engine: true\n"
            f"  control_address: {host.address}\n"
            f"  hostname: {host.name}\n"
        )

    def _engine_yaml(self, host: Host, index: int) -> str:
        return (
            f"- targets: {TARGETS}\n"
            "  fabric_iface: lo\n"
            f"  fabric_iface_port: {host.fabric_ports[index]}\n"
            f"  log_file: {self.host_dir(host) / f'daos_engine.{index}.log'}\n"
            "  storage:\n"
            "  - class: ram\n"
            f"    scm_mount: {self.mount(host, index)}\n"
            f"    scm_size: {SCM_GIB}\n"
        )

    def _control_yaml(self) -> str:
        hosts = ", ".join(f"'{host.address}'" for host in self.hosts)
        return f"name: {SYSTEM}\nport: {self.port}\nhostlist: [{hosts}]\n{self._transport_yaml('admin')}"

    def _transport_yaml(self, component: str) -> str:
        return (
            "transport_config:\n"
            f"  ca_cert: {self.certificates / 'daosCA.crt'}\n"
            f"  cert: {self.certificates / f'{component}.crt'}\n"
            f"  key: {self.certificates / f'{component}.key'}\n"
        )


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def _fabric_port(offset: int) -> int:
    """Where to look for fabric ports; demos with control ports of their own keep out of each other's way."""
    return _FIRST_FABRIC_PORT if offset == 0 else 1024 + (_FIRST_FABRIC_PORT + offset * 7) % 60000


def _first_free(addresses: list[str], first: int, count: int) -> int:
    """The lowest port from `first` on that begins `count` free ones at every address."""
    for start in range(first, 65535 - count, max(count, 1)):
        if all(_is_free(address, start + offset) for address in addresses for offset in range(count)):
            return start
    raise OSError(f"no {count} free ports in a row above {first}")


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def _socket_directory(state: Path) -> Path:
    """Below `state`, unless the path of a socket there would be longer than the kernel allows."""
    inside = state / "run"
    if len(str(inside / "host100" / _SOCKET_NAME)) <= _SOCKET_PATH_MAX:
        return inside
    name = f"daos-control-demo-{os.getuid()}-{state.stat().st_ino:x}"
    return Path(os.environ.get("TMPDIR", "/tmp")) / name
