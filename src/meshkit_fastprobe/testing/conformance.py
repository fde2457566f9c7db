"""What checks of conformance have in common: how they complain, and what must not be left behind."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import trio

S = TypeVar("S", bound=msgspec.Struct)

SETTLE_S: Final = 5.0
"""Threads that are done, and peers that were told, take a moment to be gone."""
_DESCRIPTORS: Final = Path("/proc/self/fd")


class ConformanceError(AssertionError):
    """A kind breaks a rule; the message names both."""


def must(condition: object, kind: str, rule: str) -> None:
    """One rule."""
    if not condition:
        raise ConformanceError(f"{kind}: {rule}")


def same_from_file(one: S, kind: str) -> None:
    """The fields are all there is to it: written to a file and read again it is equal, and as good a key."""
    again = msgspec.convert(msgspec.to_builtins(one), type(one))
    must(again == one, kind, "what is read from a file with the same values is not equal to it")
    must(hash(again) == hash(one), kind, "what is equal has another hash")


@asynccontextmanager
async def nothing_left(kind: str, doing: str) -> AsyncIterator[None]:
    """Open descriptors, and threads that nobody joins, are as many afterwards as before."""
    before = _held()
    yield
    with trio.move_on_after(SETTLE_S):
        while _held() > before:  # noqa: ASYNC110 - the kernel tells nobody
            await trio.sleep(0.01)
    after = _held()
    must(after <= before, kind, f"{doing} leaves {after - before} descriptors or threads behind")


def _held() -> int:
    """Trio keeps idle worker threads for ten seconds: these are nobody's."""
    threads = sum(not thread.name.lower().startswith("trio") for thread in threading.enumerate())
    return threads + (sum(1 for _ in _DESCRIPTORS.iterdir()) if _DESCRIPTORS.is_dir() else 0)
