"""ICMP: the target answers an echo request."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from meshkit_fastprobe._native.datagram import MAX_ECHO_PAYLOAD, MIN_ECHO_PAYLOAD
from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.base import Endpoint, PortableProbe
from meshkit_fastprobe.probes.icmp_on_trio import IcmpTarget
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import is_literal, split_host_port
from meshkit_fastprobe.probes.via import ANY_WAY, Via

DEFAULT_PAYLOAD_BYTES: Final = 56
"""What ping sends since its beginnings: with the headers of ICMP and IPv4, 84 bytes."""


@probe_kind()
class IcmpProbe(msgspec.Struct, frozen=True, gc=False):
    """Send an echo request of payload_bytes to a host, a name or an address, and wait for the reply.

    Takes CAP_NET_RAW, or a group within net.ipv4.ping_group_range; without either, runs are skipped as `permission`.
    """

    kind: ClassVar[str] = "icmp"
    target: str
    payload_bytes: Annotated[int, Meta(extra_json_schema={"minimum": MIN_ECHO_PAYLOAD, "maximum": MAX_ECHO_PAYLOAD})] = (
        DEFAULT_PAYLOAD_BYTES
    )
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        self.via.check("IcmpProbe", self.endpoint)
        if not MIN_ECHO_PAYLOAD <= self.payload_bytes <= MAX_ECHO_PAYLOAD:
            raise ConfigError(
                "IcmpProbe.payload_bytes",
                f"{shown(self.payload_bytes)} is not in {MIN_ECHO_PAYLOAD}..{MAX_ECHO_PAYLOAD}",
                f"leave it at {DEFAULT_PAYLOAD_BYTES} unless large packets are the question",
            )

    @property
    def endpoint(self) -> Endpoint:
        """The host, and port 0: ICMP has none."""
        host = self.target[1:-1] if self.target.startswith("[") and self.target.endswith("]") else self.target
        if ":" in host and not is_literal(host):
            raise ConfigError(
                "IcmpProbe.target", f"{shown(self.target)} is no host", "write a name or an address alone: no port"
            )
        return split_host_port("IcmpProbe.target", f"[{host}]:1" if ":" in host else f"{host}:1")[0], 0

    def compile(self, host: str, port: int) -> Target:  # noqa: ARG002 - ICMP has none
        try:
            return Target.icmp(host, self.payload_bytes, route=self.via.route())
        except ValueError:  # of an address that was checked: the interface it is scoped to is gone
            return Target.unresolved(Result.FAIL, Reason.CONNECT_UNREACHABLE)

    def interpret(self, host: str, port: int) -> IcmpTarget:  # noqa: ARG002 - likewise
        return IcmpTarget(host, self.payload_bytes, self.via)


_: type[PortableProbe] = IcmpProbe
