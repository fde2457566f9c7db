"""All methods in one table, by the path of their calls."""

from __future__ import annotations

from typing import Final

from meshkit_fastprobe.server.grpc import health, reflection, resources
from meshkit_fastprobe.server.grpc.method import Method

SERVICES: Final = (
    health.SERVICE,
    resources.SERVICE,
    *(f"grpc.reflection.{version}.ServerReflection" for version in reflection.VERSIONS),
)


def all_methods() -> dict[str, Method]:
    """NoProtobufError when protobuf is not there."""
    return {**resources.methods(), **health.methods(), **reflection.methods(SERVICES)}
