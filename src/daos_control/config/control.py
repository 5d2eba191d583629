"""daos_control.yml, which dmg reads.

Kept apart from the server's configuration, and without pydantic, because every dmg command pays for this import.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from daos_control.config import search
from daos_control.config.problems import ConfigError, Problem, nearest_key

DEFAULT_PORT: Final = 10001
_CERTS: Final = Path("/etc/daos/certs")


@dataclass(frozen=True, slots=True)
class Doc:
    """The words that document a key: its type and its purpose."""

    kind: str
    purpose: str


@dataclass(frozen=True, slots=True)
class ControlTransport:
    """Certificates of dmg."""

    allow_insecure: Annotated[bool, Doc("true or false", "Talk without TLS.")] = False
    client_cert_dir: Annotated[Path | None, Doc("path", "Accepted, and used for nothing.")] = None
    ca_cert: Annotated[Path, Doc("path", "Certificate of the authority that signed all others.")] = (
        _CERTS / "daosCA.crt"
    )
    cert: Annotated[Path, Doc("path", "Certificate of the administrator.")] = _CERTS / "admin.crt"
    key: Annotated[Path, Doc("path", "Private key of the administrator.")] = _CERTS / "admin.key"


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Whom dmg talks to, and how; `path` is None where no file was found and these are the defaults."""

    name: Annotated[str, Doc("text of 1 to 15 bytes", "Name of the DAOS system.")] = "daos_server"
    port: Annotated[int, Doc("port", "Port of hosts that are named without one.")] = DEFAULT_PORT
    hostlist: Annotated[tuple[str, ...], Doc("list of text", "Hosts to talk to, as host or host:port.")] = (
        f"localhost:{DEFAULT_PORT}",
    )
    transport_config: ControlTransport = field(default_factory=ControlTransport)
    path: Path | None = field(default=None, compare=False)


def load(path: Path | str | None = None) -> ControlConfig:
    """Read `path`, or the file that is found where dmg looks; the defaults where there is none.

    Raises ConfigError with everything that is wrong in the file, and nothing else.
    """
    found = Path(path) if path else search.find_control()
    if found is None:
        return ControlConfig()
    try:
        data = found.read_bytes()
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise _error(str(found), [Problem(str(found), "", f"the file cannot be read: {reason}")]) from exc
    return parse(data, str(found), path=found)


def parse(data: bytes | str, file: str, *, path: Path | None = None) -> ControlConfig:
    """Like `load`, of a text; `file` is what errors call it."""
    from daos_control.config import source, values  # PyYAML with it: not needed where there is no file

    if not data.strip():
        raise _error(file, [Problem(file, "", "the file is empty", "remove it, or say in it what dmg is to do")])
    tree = source.parse(data, file)
    if tree.root is None and tree.problems:
        raise _error(file, tree.problems)
    top: dict[str, Callable[[object], object]] = {
        "name": values.to_system_name,
        "port": values.to_port,
        "hostlist": lambda value: value,
        "transport_config": lambda value: value,
    }
    transport: dict[str, Callable[[object], object]] = {
        "allow_insecure": values.to_bool,
        "client_cert_dir": values.to_path,
        "ca_cert": values.to_some_path,
        "cert": values.to_some_path,
        "key": values.to_some_path,
    }
    read: dict[str, Any] = _read_map(tree, tree.root, (), top) if tree.root is not None else {}
    if "hostlist" in read:
        read["hostlist"] = _read_hosts(tree, read["hostlist"])
    if "transport_config" in read:
        made = _read_map(tree, read["transport_config"], ("transport_config",), transport)
        read["transport_config"] = ControlTransport(**made)
    if tree.problems:
        raise _error(file, tree.problems)
    return ControlConfig(**read, path=path)


def _read_map(tree: Any, node: object, path: tuple[str, ...], known: dict[str, Callable[[object], object]]) -> Any:
    from daos_control.config import source, values

    made: dict[str, object] = {}
    if not isinstance(node, source.Mapping):
        tree.report(path, f"must be a map of keys, not {values.show(node)}", allowed="lines of `key: value`")
        return made
    for name, value in node.entries.items():
        where = (*path, name)
        if name not in known:
            nearest = nearest_key(name, known)
            allowed = "" if nearest else "known here: " + ", ".join(known)
            tree.report(where, "unknown key", node.keys[name], nearest=nearest, allowed=allowed)
        elif not (isinstance(value, source.Scalar) and value.is_null):
            try:
                made[name] = known[name](value)
            except values.ValueProblem as exc:
                tree.report(where, exc.message, allowed=exc.allowed, code=exc.code)
    return made


def _read_hosts(tree: Any, node: object) -> tuple[str, ...]:
    from daos_control.config import source, values

    hosts = []
    if not isinstance(node, source.Sequence):
        tree.report(("hostlist",), f"must be a list, not {values.show(node)}", allowed="[host1, host2]")
        return ()
    for index, item in enumerate(node.items):
        try:
            text = values.to_text(item)
            if not text.strip():
                raise values.ValueProblem("must be a host, not nothing")
            hosts.append(text)
        except values.ValueProblem as exc:
            tree.report(("hostlist", index), exc.message, allowed=exc.allowed, code=exc.code)
    return tuple(hosts)


def _error(file: str, problems: list[Problem]) -> ConfigError:
    return ConfigError(file, problems, domain="client")
