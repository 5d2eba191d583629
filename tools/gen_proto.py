"""Generate src/daos_control/proto from proto/ (run by `./dev proto`).

protoc writes imports relative to its include path (`from mgmt import svc_pb2`); ours live below
daos_control.proto, so the imports are rewritten to be absolute.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"
OUTPUT = ROOT / "src" / "daos_control" / "proto"
PACKAGES = sorted({p.relative_to(SOURCES).parts[0].removesuffix(".proto") for p in SOURCES.rglob("*.proto")})

_names = "|".join(PACKAGES)
_FROM = re.compile(rf"^(\s*)from ({_names})(\.[a-z_]+)? import ", re.MULTILINE)
_PLAIN = re.compile(rf"^(\s*)import ((?:{_names})_pb2)\b", re.MULTILINE)
_DOTTED = re.compile(rf"^import ((?:{_names})\.[a-z_]+_pb2)(?: as (\w+))?$", re.MULTILINE)


def _absolute(text: str) -> str:
    text = _FROM.sub(r"\1from daos_control.proto.\2\3 import ", text)
    text = _PLAIN.sub(r"\1from daos_control.proto import \2", text)
    return _DOTTED.sub(lambda m: f"import daos_control.proto.{m[1]}" + (f" as {m[2]}" if m[2] else ""), text)


def generate(output: Path) -> None:
    sources = sorted(str(p.relative_to(SOURCES)) for p in SOURCES.rglob("*.proto"))
    output.mkdir(parents=True, exist_ok=True)
    tools = Path(sys.executable).parent
    command = [
        sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCES}",
        f"--python_out={output}", f"--mypy_out=quiet:{output}",
        f"--grpc_python_out={output}", f"--mypy_grpc_out=quiet:{output}",
        f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
        *sources,
    ]  # fmt: skip
    subprocess.run(command, check=True)
    for path in sorted(output.rglob("*_pb2_grpc.py*")):
        if "SvcServicer" not in path.read_text():
            path.unlink()  # protoc writes an empty module for a file without services
    for path in sorted(output.rglob("*_pb2*.py*")):
        path.write_text(_absolute(path.read_text()))
    note = '"""Generated from proto/ by `./dev proto`; do not edit by hand."""\n'
    for folder in {output, *(p.parent for p in output.rglob("*.py"))}:
        (folder / "__init__.py").write_text(note)


def main() -> int:
    """Without arguments generate; with --check say whether what is checked in is up to date."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "proto"
        generate(fresh)
        if sys.argv[1:] == ["--check"]:
            stale = sorted(str(path) for path, text in _texts(fresh).items() ^ _texts(OUTPUT).items() if text)
            if stale:
                print("not up to date with proto/, run ./dev proto:", *dict.fromkeys(stale), sep="\n  ")
            return 1 if stale else 0
        shutil.rmtree(OUTPUT, ignore_errors=True)
        shutil.copytree(fresh, OUTPUT)
    return 0


def _texts(folder: Path) -> dict[Path, str]:
    return {p.relative_to(folder): p.read_text() for p in folder.rglob("*.py*") if p.suffix in (".py", ".pyi")}


if __name__ == "__main__":
    sys.exit(main())
