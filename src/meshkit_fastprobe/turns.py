"""Work on a million things, a little at a time, so that others may have their turns in between.

Such work is a generator: at each yield somebody else may have a turn. What it comes to is its return value.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")

Turns: TypeAlias = Generator[None, None, T]

AT_ONCE: Final = 1024
"""Things looked at in Python between two turns: a few milliseconds at most."""


def finish(turns: Turns[T]) -> T:
    """Do it all at once."""
    while True:
        try:
            next(turns)
        except StopIteration as stop:
            value: T = stop.value
            return value


def parts(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """One after the other, each for a turn."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
