"""TCP: the target completes a connection."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.base import Endpoint, PortableProbe
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port, unix_path
from meshkit_fastprobe.probes.tcp_on_trio import TcpTarget
from meshkit_fastprobe.probes.via import ANY_WAY, Via


@probe_kind()
class TcpProbe(msgspec.Struct, frozen=True, gc=False):
    """Connect to `host:port`, `[v6]:port` or `unix:/path`, then reset the connection, which leaves no TIME_WAIT behind.

    handshake "half" resets instead of sending the last acknowledgement: the target's kernel answers, its process hears nothing.
    """

    kind: ClassVar[str] = "tcp"
    target: str
    handshake: Literal["full", "half"] = "full"
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        endpoint = _endpoint(self.target)
        if self.handshake not in {"full", "half"}:
            raise ConfigError("TcpProbe.handshake", f"{shown(self.handshake)} is not known", 'use "full" or "half"')
        if self.handshake == "half" and isinstance(endpoint, str):
            raise ConfigError("TcpProbe.handshake", "a unix socket has no handshake to end half way", 'use "full"')
        self.via.check("TcpProbe", endpoint)

    @property
    def endpoint(self) -> Endpoint:
        return _endpoint(self.target)

    def compile(self, host: str, port: int) -> Target:
        try:
            return Target.tcp(host, port, half=self.handshake == "half", route=self.via.route())
        except ValueError:  # of an address that was checked: the interface it is scoped to is gone
            return Target.unresolved(Result.FAIL, Reason.CONNECT_UNREACHABLE)

    def interpret(self, host: str, port: int) -> TcpTarget:
        return TcpTarget(host, port, self.via, half=self.handshake == "half")


def _endpoint(target: str) -> Endpoint:
    if target.startswith("unix:"):
        return unix_path("TcpProbe.target", target.removeprefix("unix:"))
    return split_host_port("TcpProbe.target", target)


_: type[PortableProbe] = TcpProbe
