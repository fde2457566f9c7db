"""What faults are given of the process they live in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.faults.base import FaultHost
from meshkit_fastprobe.chaos.proxies import Proxy
from meshkit_fastprobe.chaos.proxying.datagrams import UdpProxy
from meshkit_fastprobe.chaos.proxying.streams import TcpProxy
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.experiments import ProxySettings

PROXIES: Final[Mapping[str, type[Proxy]]] = {kind.protocol: kind for kind in (TcpProxy, UdpProxy)}

log = logging.getLogger("meshkit_fastprobe.chaos")


class Bench:
    """Injection points, and whatever an embedder gave faults to work with, by "proxy:NAME", "child:NAME", "callable:NAME"."""

    def __init__(self, name: str, points: Mapping[str, InjectionPoint], state_dir: Path | None) -> None:
        self.name = name
        self.points = points
        self.state_dir = state_dir
        self.services: dict[str, object] = {}

    def offer(self, key: str, service: object) -> None:
        """Give faults something to work with. ConfigError for a key that is taken."""
        if key in self.services:
            raise ConfigError("chaos", f"{key} is offered already", "choose another name")
        self.services[key] = service

    def service(self, key: str) -> object:
        """KeyError when nobody gave it."""
        return self.services[key]

    @property
    def offered(self) -> Collection[str]:
        return self.services.keys()


@asynccontextmanager
async def offered_proxies(bench: Bench, proxies: Iterable[ProxySettings]) -> AsyncIterator[None]:
    """Open them, for faults and for the clients of what stands behind them; ProxyError when one cannot be."""
    async with AsyncExitStack() as opened:
        for settings in proxies:
            proxy = PROXIES[settings.protocol](settings)
            opened.push_async_callback(_closed, proxy)
            await in_thread(proxy.open)
            bench.services[f"proxy:{settings.name}"] = proxy
            log.info("proxy %s: %s in front of %s", settings.name, proxy.address, settings.upstream)
        yield


async def _closed(proxy: Proxy) -> None:
    with trio.CancelScope(shield=True):
        await in_thread(proxy.close)


_: type[FaultHost] = Bench
