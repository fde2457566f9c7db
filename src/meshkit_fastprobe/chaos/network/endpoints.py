"""Where packets go or come from: an address, a network, a port of these. Names are refused: what was written is hurt."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

HOW_TO_WRITE: Final = "write 10.0.0.7:5432, 10.0.0.7, 10.0.0.0/24, [2001:db8::7]:443 or 2001:db8::/64"
ALL_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
MAPPED: Final = ipaddress.ip_network("::ffff:0:0/96")
MAX_CHARACTERS: Final = 64

_with_port = re.compile(r"(?:\[([0-9A-Fa-f:./]+)\]|([0-9./]+)):([0-9]{1,5})")


class Endpoint(NamedTuple):
    """A network and a port of it; port 0: all of them."""

    network: Network
    port: int

    def __str__(self) -> str:
        """Canonical: parse_endpoint() reads it back as this."""
        single = self.network.prefixlen == self.network.max_prefixlen
        text = str(self.network.network_address) if single else str(self.network)
        if not self.port:
            return text
        return f"[{text}]:{self.port}" if self.network.version == 6 else f"{text}:{self.port}"

    def touches(self, other: Endpoint) -> bool:
        """Whether a packet could be to both."""
        ports = not self.port or not other.port or self.port == other.port
        return ports and self.network.version == other.network.version and self.network.overlaps(other.network)


def parse_endpoint(where: str, text: str) -> Endpoint:
    """An endpoint as people write it; ConfigError at `where` says what is wrong."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(where, f"{shown(text)} is no address", HOW_TO_WRITE)
    match = _with_port.fullmatch(text)
    address, port = (match[1] or match[2], int(match[3])) if match else (text, 0)
    if match and not 1 <= port <= 65535:
        raise ConfigError(where, f"port {port} is not in 1..65535", HOW_TO_WRITE)
    try:
        network = ipaddress.ip_network(address)
    except ValueError as error:
        bits = "it has bits beyond its prefix" if "host bits" in str(error) else "it is no address (names are not looked up)"
        raise ConfigError(where, f"{shown(text)}: {bits}", HOW_TO_WRITE) from None
    if "%" in address:
        raise ConfigError(where, f"{shown(text)} names an interface", "leave out what follows the %")
    if covers(MAPPED, network):
        raise ConfigError(where, f"{shown(text)} is IPv4 in disguise", "write the IPv4 address: that is what packets carry")
    return Endpoint(network, port)


def parse_endpoints(where: str, texts: Iterable[str]) -> tuple[Endpoint, ...]:
    """In a canonical order, each once."""
    found = {parse_endpoint(f"{where}[{number}]", text) for number, text in enumerate(texts)}
    return tuple(sorted(found, key=lambda one: (one.network.version, one.network, one.port)))


def covers(outer: Network, inner: Network) -> bool:
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)


def too_broad(target: Endpoint) -> str | None:
    """What speaks against hurting this without being told that it is meant."""
    if target.network.prefixlen == 0:
        return "every address there is"
    if target.port:
        return None
    if any(covers(target.network, loopback) for loopback in ALL_LOOPBACK):
        return "all of loopback, where this host talks to itself"
    return None
