"""Where a dependency is: addresses are known at once, names are looked up on a thread beside the proxy's loop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from meshkit_fastprobe.chaos.proxying.loop import Loop
from meshkit_fastprobe.config.addresses import split_host_port

LOOKUPS: Final = 4
"""At once; more wait for these."""

Addresses = list[tuple[int, Any]]
"""Families and addresses, in the order to try; empty: the name is not known."""


class Upstream:
    """One dependency."""

    def __init__(self, loop: Loop, text: str, kind: int) -> None:
        self._loop = loop
        self._kind = kind
        self._host, self._port = split_host_port("proxy.upstream", text, lowest_port=1)
        self._threads: ThreadPoolExecutor | None = None

    def find(self, then: Callable[[Addresses], None]) -> None:
        """Call `then` on the loop's thread, at once or later."""
        with suppress(socket.gaierror):
            then(self._addresses(socket.AI_NUMERICHOST))
            return
        self._threads = self._threads or ThreadPoolExecutor(LOOKUPS, "fastprobe-proxy-names")
        try:
            self._threads.submit(self._look_up, then)
        except RuntimeError:  # no thread to be had: not a reason to end the loop that asks
            then([])

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, then: Callable[[Addresses], None]) -> None:
        found: Addresses = []
        with suppress(OSError):
            found = self._addresses(0)
        self._loop.soon(lambda: then(found))

    def _addresses(self, flags: int) -> Addresses:
        found = socket.getaddrinfo(self._host, self._port, type=self._kind, flags=flags)
        return [(family, address) for family, _, _, _, address in found]
