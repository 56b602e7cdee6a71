"""Generate the Python classes of proto/ into src/, or check that the committed ones are current.

    python tools/protos.py            (make proto)
    python tools/protos.py --check    (make proto-check)

The import path of a .proto file is its path below proto/, and its Python module is the same path below src/. Well-known
types and google.type come from their own packages and are never generated. The output depends only on proto/ and on the
pinned grpcio-tools and mypy-protobuf.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "proto"
SOURCES = ROOT / "src"
GENERATED = ("wfa", "gristmill/proto")
"""Folders below src/ that hold nothing but generated code."""


def sources() -> list[str]:
    """Import paths of all .proto files, sorted."""
    paths = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    strays = [path for path in paths if not path.startswith(tuple(f"{folder}/" for folder in GENERATED))]
    if strays:
        raise SystemExit(f"tools/protos.py: move {', '.join(strays)} below proto/wfa or proto/gristmill/proto")
    return paths


def generate(target: Path) -> None:
    """Write modules, gRPC stubs and their type stubs below `target`, each folder being a package."""
    from google.type import interval_pb2
    from grpc_tools import protoc

    os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    options = [f"--{plugin}_out={target}" for plugin in ("python", "grpc_python")]
    options += [f"--{plugin}_out=quiet:{target}" for plugin in ("mypy", "mypy_grpc")]
    includes = [PROTOS, files("grpc_tools") / "_proto", Path(interval_pb2.__file__).parents[2]]
    paths = sources()
    if protoc.main(["protoc", *(f"--proto_path={include}" for include in includes), *options, *paths]) != 0:
        raise SystemExit("tools/protos.py: protoc failed; its messages are above")
    for path in paths:
        if not _has_service(PROTOS / path):
            for ending in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
                (target / path).with_name(Path(path).stem + ending).unlink(missing_ok=True)
        for folder in Path(path).parents:
            if folder.as_posix().startswith(GENERATED):
                (target / folder / "__init__.py").touch()


def _has_service(path: Path) -> bool:
    return any(line.startswith("service ") for line in path.read_text().splitlines())


def generated_files(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for folder in GENERATED
        for path in (root / folder).rglob("*.py*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def differences(fresh: Path) -> list[str]:
    """One line for each committed file that is not what proto/ gives."""
    new, old = generated_files(fresh), generated_files(SOURCES)
    lines = [f"missing: src/{path}" for path in new - old] + [f"left over: src/{path}" for path in old - new]
    lines += [f"stale: src/{path}" for path in new & old if _differ(fresh / path, SOURCES / path)]
    return sorted(lines)


def _differ(one: Path, other: Path) -> bool:
    return not filecmp.cmp(one, other, shallow=False)


def install(fresh: Path) -> None:
    """Make src/ what `fresh` is, touching only the files that differ."""
    new = generated_files(fresh)
    for path in generated_files(SOURCES) - new:
        (SOURCES / path).unlink()
    for path in new:
        target = SOURCES / path
        if not target.exists() or _differ(fresh / path, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fresh / path, target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if src/ is not current")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        lines = differences(Path(folder))
        if not arguments.check:
            install(Path(folder))
            print(f"{len(lines)} of {len(generated_files(Path(folder)))} generated files were changed")
            return 0
    for line in lines:
        print(line)
    if lines:
        tools = " and ".join(f"{name} {version(name)}" for name in ("grpcio-tools", "mypy-protobuf"))
        print(f"The generated classes are not current: run `make proto` (this check used {tools}).", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
