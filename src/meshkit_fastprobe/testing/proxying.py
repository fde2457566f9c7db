"""A proxy in front of a dependency, through which faults pass: the one that experiments use, held by a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from meshkit_fastprobe.chaos.bench import PROXIES
from meshkit_fastprobe.chaos.proxies import Proxy, Shape
from meshkit_fastprobe.experiments import ProxySettings

__all__ = ["FaultProxy", "Shape", "fault_proxy"]


class FaultProxy:
    """Clients connect to `address`. No fault passes until one is asked for."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.address = proxy.address

    @property
    def accepted(self) -> int:
        """Connections so far."""
        return self._proxy.counts.accepted

    @property
    def touched(self) -> int:
        """Pieces and datagrams that a fault delayed, lost or swallowed, and connections that it reset."""
        return self._proxy.counts.touched

    @contextmanager
    def suffering(self, shape: Shape) -> Iterator[None]:
        """While the block lasts, this is done to what passes, also on connections that exist."""
        self._proxy.put(shape, "test")
        try:
            yield
        finally:
            self._proxy.put(None)


@contextmanager
def fault_proxy(upstream: str, protocol: str = "tcp") -> Iterator[FaultProxy]:
    """A proxy on 127.0.0.1 in front of `host:port`, for tcp or udp, on a thread of its own."""
    proxy = PROXIES[protocol](ProxySettings(name="test", listen="127.0.0.1:0", upstream=upstream, protocol=protocol))
    proxy.open()
    try:
        yield FaultProxy(proxy)
    finally:
        proxy.close()
