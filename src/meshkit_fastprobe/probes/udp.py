"""UDP: the target answers a datagram with one that is as expected."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from meshkit_fastprobe._native.datagram import MAX_UDP_PAYLOAD, MAX_UDP_REPLY, UdpPlan
from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.base import Endpoint, PortableProbe
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port
from meshkit_fastprobe.probes.udp_on_trio import UdpTarget
from meshkit_fastprobe.probes.via import ANY_WAY, Via

DEFAULT_MAX_REPLY: Final = 4096
_HEX: Final = "hex:"

Octets = Annotated[str, Meta(extra_json_schema={"maxLength": MAX_UDP_REPLY})]
"""Text, sent as UTF-8; or "hex:" and hexadecimal digits, with spaces where they help to read."""


class UdpExpect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What makes a reply good; all that is given has to hold. Nothing given: any reply is."""

    equals: Octets | None = None
    prefix: Octets | None = None
    contains: Octets | None = None

    def __post_init__(self) -> None:
        for name in ("equals", "prefix", "contains"):
            text = getattr(self, name)
            if text is not None:
                octets(f"UdpExpect.{name}", text)


ANY_REPLY: Final = UdpExpect()


@probe_kind()
class UdpProbe(msgspec.Struct, frozen=True, gc=False):
    """Send `send` to `host:port` and wait for a datagram in return, of at most max_reply_bytes."""

    kind: ClassVar[str] = "udp"
    target: str
    send: Annotated[str, Meta(extra_json_schema={"maxLength": MAX_UDP_PAYLOAD})] = ""
    expect: UdpExpect = ANY_REPLY
    max_reply_bytes: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_UDP_REPLY})] = DEFAULT_MAX_REPLY
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        self.via.check("UdpProbe", _endpoint(self.target))
        size = len(octets("UdpProbe.send", self.send))
        if size > MAX_UDP_PAYLOAD:
            raise ConfigError(
                "UdpProbe.send",
                f"{size} bytes; the bound is {MAX_UDP_PAYLOAD}",
                "send less: a longer datagram is cut in pieces",
            )
        if not 0 <= self.max_reply_bytes <= MAX_UDP_REPLY:
            raise ConfigError(
                "UdpProbe.max_reply_bytes", f"{shown(self.max_reply_bytes)} is not in 0..{MAX_UDP_REPLY}", "expect less"
            )
        for name in ("equals", "prefix", "contains"):
            text = getattr(self.expect, name)
            size = 0 if text is None else len(octets(f"UdpProbe.expect.{name}", text))
            if size > self.max_reply_bytes:
                problem = f"{size} bytes are more than max_reply_bytes, {self.max_reply_bytes}"
                raise ConfigError(f"UdpProbe.expect.{name}", problem, "raise max_reply_bytes")

    @property
    def endpoint(self) -> Endpoint:
        return _endpoint(self.target)

    def compile(self, host: str, port: int) -> Target:
        try:
            return Target.udp(host, port, self._plan(), route=self.via.route())
        except ValueError:  # of an address that was checked: the interface it is scoped to is gone
            return Target.unresolved(Result.FAIL, Reason.CONNECT_UNREACHABLE)

    def interpret(self, host: str, port: int) -> UdpTarget:
        return UdpTarget(host, port, octets("UdpProbe.send", self.send), self._plan(), self.via)

    def _plan(self) -> UdpPlan:
        return plan_of(self.send, self.expect, self.max_reply_bytes)


@lru_cache(maxsize=1024)
def plan_of(send: str, expect: UdpExpect, max_reply_bytes: int) -> UdpPlan:
    """One for all targets that are sent the same."""
    wanted = {name: getattr(expect, name) for name in ("equals", "prefix", "contains")}
    return UdpPlan(
        payload=octets("UdpProbe.send", send),
        max_reply=max_reply_bytes,
        **{name: None if text is None else octets(f"UdpExpect.{name}", text) for name, text in wanted.items()},
    )


def octets(where: str, text: str) -> bytes:
    """The bytes that a text stands for."""
    if not text.startswith(_HEX):
        return text.encode()
    try:
        return bytes.fromhex(text.removeprefix(_HEX))
    except ValueError:
        raise ConfigError(where, f"{shown(text)} is not hexadecimal", 'write pairs of digits: "hex:de ad"') from None


def _endpoint(target: str) -> Endpoint:
    return split_host_port("UdpProbe.target", target)


_: type[PortableProbe] = UdpProbe
