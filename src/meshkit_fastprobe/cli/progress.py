"""How far a long listing has come, on the terminal's stderr; nothing for machines, and nothing for what is quick."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

QUIET_S: Final = 0.7
EVERY_S: Final = 0.1


@contextmanager
def counting(client: Any, what: str) -> Iterator[None]:
    """While a client gathers pages. The line is gone again when it ends."""
    out = sys.stderr
    if not out.isatty():
        yield
        return
    told = _Count(what)
    client.on_page = told.add
    try:
        yield
    finally:
        client.on_page = None
        if told.shown:
            out.write("\r\x1b[K")
            out.flush()


class _Count:
    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = Lock()
        self._count = 0
        self._next_s = time.monotonic() + QUIET_S
        self.shown = False

    def add(self, items: int) -> None:
        with self._lock:
            self._count += items
            if time.monotonic() < self._next_s:
                return
            self._next_s = time.monotonic() + EVERY_S
            self.shown = True
            sys.stderr.write(f"\r{self._count:,} {self._what} ...\x1b[K")
            sys.stderr.flush()
