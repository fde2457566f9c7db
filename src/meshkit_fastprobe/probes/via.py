"""The way to a target: where packets leave this host, how they are marked, which of a name's addresses is taken."""

from __future__ import annotations

import socket
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from meshkit_fastprobe._native.target import Route
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.base import Endpoint
from meshkit_fastprobe.probes.targets import is_literal

Ip: TypeAlias = Literal["any", "ipv4", "ipv6", "prefer_ipv4", "prefer_ipv6"]
"""Which addresses of a name are taken: in the order of the system's resolver, of one family alone, or of one family first."""

MAX_MARK: Final = 0xFFFF_FFFF
MAX_TOS: Final = 255
MAX_INTERFACE_BYTES: Final = 15
MAX_ROUTES: Final = 4096

_IPS: Final = ("any", "ipv4", "ipv6", "prefer_ipv4", "prefer_ipv6")


class Via(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How packets leave for a target. Empty and 0 leave the choice to the kernel.

    mark (SO_MARK) takes CAP_NET_ADMIN. tos is the whole byte: DSCP 46 is tos 184.
    """

    source: str = ""
    interface: Annotated[str, Meta(extra_json_schema={"maxLength": MAX_INTERFACE_BYTES})] = ""
    mark: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_MARK})] = 0
    tos: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_TOS})] = 0
    ip: Ip = "any"

    def __post_init__(self) -> None:
        if self.source and not is_literal(self.source):
            raise ConfigError("Via.source", f"{shown(self.source)} is not an IP address", "write an address of this host")
        if len(self.interface.encode(errors="surrogatepass")) > MAX_INTERFACE_BYTES or "\0" in self.interface:
            raise ConfigError(
                "Via.interface", f"{shown(self.interface)} is no name of an interface", f"at most {MAX_INTERFACE_BYTES} bytes"
            )
        for key, value, most in (("mark", self.mark, MAX_MARK), ("tos", self.tos, MAX_TOS)):
            if not 0 <= value <= most:
                raise ConfigError(f"Via.{key}", f"{value} is not in 0..{most}", "choose a number between them")
        if self.ip not in _IPS:
            raise ConfigError("Via.ip", f"{shown(self.ip)} is not known", f"one of {', '.join(_IPS)}")
        if self.source and _only(self.ip) not in {None, family_of(self.source)}:
            raise ConfigError("Via.ip", f"{shown(self.ip)} and a source of the other family", "leave one of them out")

    @property
    def wanted(self) -> Ip:
        """`ip`, narrowed by what the source can reach."""
        if not self.source:
            return self.ip
        return "ipv4" if family_of(self.source) == socket.AF_INET else "ipv6"

    def route(self) -> Route | None:
        """The native route, one for all that are the same. ValueError when the source's interface is not of this host."""
        if not (self.source or self.interface or self.mark or self.tos):
            return None
        key = (self.source, self.interface, self.mark, self.tos)
        found = _routes.get(key)
        if found is None:
            found = Route(source=self.source, interface=self.interface, mark=self.mark, tos=self.tos)
            while len(_routes) >= MAX_ROUTES:
                del _routes[next(iter(_routes))]
            _routes[key] = found
        return found

    def check(self, where: str, endpoint: Endpoint) -> None:
        """Refuse an endpoint that no packet could reach this way. `where`: the kind."""
        if self == ANY_WAY:
            return
        if isinstance(endpoint, str):
            raise ConfigError(f"{where}.via", "a unix socket is not reached over a network", "leave via out")
        host = endpoint[0]
        if is_literal(host) and _only(self.wanted) not in {None, family_of(host)}:
            key, fix = ("source", "give a source of the target's family") if self.source else ("ip", "leave it out")
            raise ConfigError(f"{where}.via.{key}", f"{shown(host)} is of the other family", fix)


ANY_WAY: Final = Via()

_routes: dict[tuple[str, str, int, int], Route] = {}
"""Bounded, the oldest goes first. Filled from the event loop's thread alone: compiling is its business."""


def family_of(literal: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in literal else socket.AF_INET


def order(addresses: list[str], ip: Ip) -> list[str]:
    """The addresses of a name in the order in which they are to be tried: as RFC 8305 says, families by turns.

    The first family is that of the resolver's first answer, which has looked at what this host can reach, or the preferred one.
    """
    only = _only(ip)
    found = [address for address in addresses if only is None or family_of(address) == only]
    if only is not None or not found:
        return found
    first = {"prefer_ipv4": socket.AF_INET, "prefer_ipv6": socket.AF_INET6}.get(ip, family_of(found[0]))
    preferred = [address for address in found if family_of(address) == first]
    others = [address for address in found if family_of(address) != first]
    turns = [address for pair in zip(preferred, others, strict=False) for address in pair]
    return turns + preferred[len(others) :] + others[len(preferred) :]


def _only(ip: Ip) -> socket.AddressFamily | None:
    return {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}.get(ip)
