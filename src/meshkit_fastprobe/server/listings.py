"""Pages for many readers at once: one is made at a time, and who asks for the same a moment later gets the same.

Making a page costs milliseconds, and the host's event loop is others' too: thirty readers who ask without pause would each hold
it for a turn, all in the same round.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

import trio

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.reply import Reply

FRESH_S: Final = 0.1
"""How old a page may be, as its generatedAt tells. What was added, removed or paused meanwhile makes it older at once."""
MAX_KEPT: Final = 64
MAX_KEPT_BYTES: Final = 1 << 20
"""Of one page; larger ones are made for each reader."""


class Listings:
    """Of one host."""

    def __init__(self, host: Host, now_s: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._now_s = now_s
        self._turn = trio.Lock()
        self._made_at_s = -FRESH_S
        self._version: Hashable = None
        self._snapshot: Snapshot | None = None
        self._pages: dict[Hashable, Reply] = {}

    async def page(self, key: Hashable, make: Callable[[Snapshot], Awaitable[Reply]]) -> Reply:
        """The page of this key: one that is fresh, or what `make` makes of a snapshot. Readers wait for their turn."""
        fresh = self._fresh(key)
        if fresh is not None:
            return fresh
        async with self._turn:
            fresh = self._fresh(key)
            if fresh is not None:
                return fresh
            reply = await make(self._current())
            if len(reply.body) <= MAX_KEPT_BYTES and len(self._pages) < MAX_KEPT:
                self._pages[key] = reply
            return reply

    def recent(self) -> Snapshot:
        """One that is as fresh as pages are."""
        return self._current()

    def _fresh(self, key: Hashable) -> Reply | None:
        return self._pages.get(key) if self._is_current() else None

    def _current(self) -> Snapshot:
        if self._snapshot is None or not self._is_current():
            self._pages.clear()
            self._version = self._host_version()
            self._snapshot = self._host.snapshot()
            self._made_at_s = self._now_s()
        return self._snapshot

    def _is_current(self) -> bool:
        return self._now_s() - self._made_at_s < FRESH_S and self._version == self._host_version()

    def _host_version(self) -> Hashable:
        return self._host.catalog.version, self._host.pauses.version
