"""Generate src/daos_control/proto from proto/ (run by `./dev proto`).

protoc writes imports relative to its include path (`from mgmt import svc_pb2`); ours live below
daos_control.proto, so the imports are rewritten to be absolute.
"""

import re
import shutil
import subprocess
import sys
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


def main() -> int:
    sources = sorted(str(p.relative_to(SOURCES)) for p in SOURCES.rglob("*.proto"))
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    tools = Path(sys.executable).parent
    command = [
        sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCES}",
        f"--python_out={OUTPUT}", f"--mypy_out=quiet:{OUTPUT}",
        f"--grpc_python_out={OUTPUT}", f"--mypy_grpc_out=quiet:{OUTPUT}",
        f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
        *sources,
    ]  # fmt: skip
    subprocess.run(command, check=True)
    for path in sorted(OUTPUT.rglob("*_pb2_grpc.py*")):
        if "SvcServicer" not in path.read_text():
            path.unlink()  # protoc writes an empty module for a file without services
    for path in sorted(OUTPUT.rglob("*_pb2*.py*")):
        path.write_text(_absolute(path.read_text()))
    note = '"""Generated from proto/ by `./dev proto`; do not edit by hand."""\n'
    for folder in {OUTPUT, *(p.parent for p in OUTPUT.rglob("*.py"))}:
        (folder / "__init__.py").write_text(note)
    return 0


if __name__ == "__main__":
    sys.exit(main())
