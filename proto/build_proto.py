"""Compiles `buoy.proto` to the descriptor set and the type stub that `buoy_proto` ships.

`python proto/build_proto.py` rewrites both files; a test runs it and fails when they have drifted.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
PACKAGE = PROTO / "buoy_proto"


def generate() -> dict[Path, bytes]:
    """The files to write, by path: the descriptor set and the stub of `buoy_proto.v1`."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor = Path(folder) / "v1.binpb"
        arguments = [
            "protoc",
            f"--proto_path={PROTO}",
            f"--descriptor_set_out={descriptor}",
            f"--pyi_out={folder}",
            "buoy/v1/buoy.proto",
        ]
        if status := protoc.main(arguments):
            raise SystemExit(status)
        stub = next(Path(folder).rglob("*.pyi")).read_bytes()
        return {PACKAGE / "v1.binpb": descriptor.read_bytes(), PACKAGE / "v1.pyi": stub}


def main() -> int:
    """Writes the generated files; with `--check` says whether they are up to date instead."""
    drifted = [path for path, data in generate().items() if not path.exists() or path.read_bytes() != data]
    if "--check" in sys.argv[1:]:
        for path in drifted:
            sys.stderr.write(f"{path} is out of date: run `python proto/build_proto.py`\n")
        return bool(drifted)
    for path, data in generate().items():
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
