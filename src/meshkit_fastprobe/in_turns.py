"""Doing work that comes in turns on trio's event loop, which has a turn of its own at each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from meshkit_fastprobe.turns import Turns

T = TypeVar("T")


async def in_turns(turns: Turns[T]) -> T:
    """Do it while others have their turns."""
    return await _with_pauses(turns, trio.lowlevel.checkpoint)


@trio.lowlevel.enable_ki_protection
async def to_the_end(turns: Turns[T]) -> T:
    """The same, for what must not be left half done: neither a cancellation nor an interrupt is heeded before the end."""
    return await _with_pauses(turns, trio.lowlevel.cancel_shielded_checkpoint)


async def _with_pauses(turns: Turns[T], pause: Callable[[], Awaitable[None]]) -> T:
    while True:
        try:
            next(turns)
        except StopIteration as stop:
            value: T = stop.value
            return value
        await pause()
