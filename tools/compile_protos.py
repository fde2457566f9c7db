"""`python tools/compile_protos.py`: write the descriptors of the .proto files in the package. Needs grpcio-tools."""

from __future__ import annotations

import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent.parent / "src" / "meshkit_fastprobe" / "server" / "grpc"


def compiled() -> bytes:
    """A FileDescriptorSet, what is imported first; the same bytes for the same files."""
    protos = HERE / "protos"
    wanted = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    well_known = str(resources.files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        failed = protoc.main(
            ["protoc", f"-I{protos}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}", *wanted]
        )
        if failed:
            sys.exit(f"protoc ended with {failed}")
        return out.read_bytes()


if __name__ == "__main__":
    (HERE / "descriptors.binpb").write_bytes(compiled())
