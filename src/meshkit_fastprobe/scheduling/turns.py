"""Work on a million things, a little at each turn of the event loop.

Such work is a generator: at each yield somebody else may have a turn. What it comes to is its return value.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import trio
from numpy.typing import NDArray

T = TypeVar("T")

Turns: TypeAlias = Generator[None, None, T]

AT_ONCE: Final = 2048
"""Things looked at in Python between two turns: some milliseconds at most."""
SORTED_AT_ONCE: Final = 32_768
"""Numbers sorted between two turns, in NumPy."""
_SAMPLES: Final = 64
"""Numbers looked at for each bound between two parts."""


def finish(turns: Turns[T]) -> T:
    """Do it all at once."""
    while True:
        try:
            next(turns)
        except StopIteration as stop:
            value: T = stop.value
            return value


async def in_turns(turns: Turns[T]) -> T:
    """Do it while others have their turns."""
    while True:
        try:
            next(turns)
        except StopIteration as stop:
            value: T = stop.value
            return value
        await trio.lowlevel.checkpoint()


def argsort(values: NDArray[Any]) -> Turns[NDArray[np.intp]]:
    """The stable order of these numbers: of a part of them after the other, by bounds that a sample suggests."""
    parts = -(-len(values) // SORTED_AT_ONCE)
    if parts < 2:
        return np.argsort(values, kind="stable")
    sample = np.sort(values[:: max(1, len(values) // (parts * _SAMPLES))])
    bounds = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    order = np.empty(len(values), np.intp)
    done = 0
    for part in range(len(bounds) + 1):
        inside = np.ones(len(values), bool)
        if part:
            inside &= values >= bounds[part - 1]
        if part < len(bounds):
            inside &= values < bounds[part]
        members = np.flatnonzero(inside)
        order[done : done + len(members)] = members[np.argsort(values[members], kind="stable")]
        done += len(members)
        yield
    return order
