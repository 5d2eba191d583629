"""The arrows between the rooms point one way, and every module keeps to one subject."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "daos_control"

COMMON = {"faults", "version"}
ALLOWED: dict[str, set[str]] = {
    "faults": {"version"},
    "system": set(),
    "messages": {"proto", "system"},
    "drpc": {"proto"},
    "config": {"storage"},
    "store": {"system"},
    "storage": set(),
    "network": set(),
    "security": {"proto"},
    "client": {"proto", "system", "messages", "security", "config"},
    "ms": {"store", "system", "client", "messages", "drpc", "proto"},
    "server": {
        "ms", "store", "storage", "network", "security", "drpc", "config", "client", "messages", "proto", "system",
    },
    "engine": {"drpc", "proto", "system", "messages"},
    "cli": {"client", "server", "config", "security", "storage", "network", "system", "messages"},
    "demo": set(),
}  # fmt: skip
"""Room -> the rooms that it may import, besides itself and COMMON."""

LINES_MAX = 500


def room_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [p for p in sorted(SOURCE.rglob("*.py")) if room_of(p) != "proto"]


def imported_rooms(path: Path) -> set[str]:
    """Rooms of ours that a module imports, anywhere in it; lazily too."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "daos_control":
                names = [f"daos_control.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("daos_control.")}
    return rooms


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    if path.parent == SOURCE:
        assert imported_rooms(path) <= COMMON
        return
    assert imported_rooms(path) <= {room} | COMMON | ALLOWED[room]


def test_every_room_is_known() -> None:
    rooms = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name not in ("proto", "__pycache__")}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("path", sorted((SOURCE / "system").glob("*.py")), ids=lambda p: p.name)
def test_the_domain_does_no_io_and_reads_no_clock(path: Path) -> None:
    forbidden = {
        "asyncio",
        "grpc",
        "os",
        "socket",
        "subprocess",
        "threading",
        "time",
        "random",
        "pathlib",
        "logging",
    }
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
            pytest.fail(f"line {node.lineno} reads the clock")
    assert not imported & forbidden


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_is_not_crowded(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX


def test_no_child_is_started_in_a_way_that_breaks_grpc() -> None:
    """preexec_fn, user= and group= run Python code between fork and exec, which crashes under RPC load."""
    guilty = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and any(keyword.arg in ("preexec_fn", "user", "group", "extra_groups") for keyword in node.keywords)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("Popen", "run", "create_subprocess_exec", "check_call", "check_output", "call")
    ]
    assert guilty == []
