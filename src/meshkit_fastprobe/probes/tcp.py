"""TCP: the target completes a connection."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.probes.base import Endpoint, NativeProbe
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port


@probe_kind()
class TcpProbe(msgspec.Struct, frozen=True, gc=False):
    """Connect to `host:port`, `[v6]:port` or `unix:/path`, then reset the connection, which leaves no TIME_WAIT behind."""

    kind: ClassVar[str] = "tcp"
    target: str

    def __post_init__(self) -> None:
        self.endpoint  # noqa: B018 - raises for a target that cannot be

    @property
    def endpoint(self) -> Endpoint:
        if self.target.startswith("unix:"):
            return self.target.removeprefix("unix:")
        return split_host_port("tcp target", self.target)

    def compile(self, host: str, port: int) -> Target:
        return Target.tcp(host, port)


_: type[NativeProbe] = TcpProbe
