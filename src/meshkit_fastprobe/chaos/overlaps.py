"""Which resources are in each other's way: the same text, and for packets whatever one and the same packet can be to.

`packets:10.0.0.2` covers `packets:10.0.0.2:53` and lies in `packets:10.0.0.0/24`; two ports of one address are two resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from meshkit_fastprobe.chaos.network.endpoints import Endpoint, parse_endpoint
from meshkit_fastprobe.errors import ConfigError

_OF_PACKETS: Final = ("packets", "target")
"""Before an address in what a plan names, and in what an experiment says of itself."""

_Place = tuple[str, int, int]
"""A prefix of a resource, the version of IP, the bits of a network."""


class Overlaps:
    """Resources, found by what overlaps them: a look for each size of network there is, and not at each of hundreds."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._networks: dict[_Place, dict[int, dict[str, int]]] = {}
        """By how large a network is, and by its first bits: what was written, and which port it means."""

    def add(self, resource: str) -> None:
        self._texts.add(resource)
        found = _parsed(resource)
        if found is not None:
            prefix, endpoint = found
            bits, first = endpoint.network.prefixlen, _first_bits(endpoint)
            sized = self._networks.setdefault((prefix, endpoint.network.version, bits), {})
            sized.setdefault(first, {})[resource] = endpoint.port

    def remove(self, resource: str) -> None:
        self._texts.remove(resource)
        found = _parsed(resource)
        if found is not None:
            prefix, endpoint = found
            place, first = (prefix, endpoint.network.version, endpoint.network.prefixlen), _first_bits(endpoint)
            sized = self._networks[place]
            del sized[first][resource]
            if not sized[first]:
                del sized[first]
            if not sized:
                del self._networks[place]

    def of(self, resource: str) -> Iterator[str]:
        """Those that were added and overlap it, itself among them."""
        found = _parsed(resource)
        if found is None:
            if resource in self._texts:
                yield resource
            return
        prefix, endpoint = found
        bits, first = endpoint.network.prefixlen, _first_bits(endpoint)
        for (theirs, version, size), sized in self._networks.items():
            if (theirs, version) != (prefix, endpoint.network.version):
                continue
            if size <= bits:
                ports = [sized.get(first >> bits - size, {})]
            else:
                ports = [there for other, there in sized.items() if other >> size - bits == first]
            for there in ports:
                yield from (text for text, port in there.items() if not port or not endpoint.port or port == endpoint.port)


def shared(some: Iterable[str], others: Iterable[str]) -> frozenset[str]:
    """Of both, what overlaps; each as its side writes it."""
    known = Overlaps()
    for resource in others:
        known.add(resource)
    pairs = [(one, other) for one in some for other in known.of(one)]
    return frozenset(text for pair in pairs for text in pair)


@lru_cache(maxsize=4096)
def _parsed(resource: str) -> tuple[str, Endpoint] | None:
    """None: it is no address, and overlaps nothing but itself."""
    prefix, _, text = resource.partition(":")
    if prefix not in _OF_PACKETS:
        return None
    try:
        return prefix, parse_endpoint("resource", text)
    except ConfigError:
        return None


def _first_bits(endpoint: Endpoint) -> int:
    network = endpoint.network
    return int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
