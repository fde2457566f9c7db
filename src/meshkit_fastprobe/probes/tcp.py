"""TCP: the target completes a connection."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.base import Endpoint, PortableProbe
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port, unix_path
from meshkit_fastprobe.probes.tcp_on_trio import TcpTarget


@probe_kind()
class TcpProbe(msgspec.Struct, frozen=True, gc=False):
    """Connect to `host:port`, `[v6]:port` or `unix:/path`, then reset the connection, which leaves no TIME_WAIT behind."""

    kind: ClassVar[str] = "tcp"
    target: str

    def __post_init__(self) -> None:
        _endpoint(self.target)

    @property
    def endpoint(self) -> Endpoint:
        return _endpoint(self.target)

    def compile(self, host: str, port: int) -> Target:
        try:
            return Target.tcp(host, port)
        except ValueError:  # of an address that was checked: the interface it is scoped to is gone
            return Target.unresolved(Result.FAIL, Reason.CONNECT_UNREACHABLE)

    def interpret(self, host: str, port: int) -> TcpTarget:
        return TcpTarget(host, port)


def _endpoint(target: str) -> Endpoint:
    if target.startswith("unix:"):
        return unix_path("TcpProbe.target", target.removeprefix("unix:"))
    return split_host_port("TcpProbe.target", target)


_: type[PortableProbe] = TcpProbe
