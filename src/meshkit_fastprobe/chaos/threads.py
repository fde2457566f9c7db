"""Calls that may wait for the kernel, in threads of chaos' own: an embedder who uses up all of trio's delays no revert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio

MAX_THREADS: Final = 8

T = TypeVar("T")

_limiter = trio.CapacityLimiter(MAX_THREADS)


async def in_thread(call: Callable[[], T]) -> T:
    """What it returns or raises. Not abandoned when cancelled: what it does to the kernel is known when it is over."""
    return await trio.to_thread.run_sync(call, limiter=_limiter)
