"""Callables of the embedder: async ones run in the task lane, sync ones in the thread lane."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import ClassVar, cast

import msgspec

from meshkit_fastprobe.model import Outcome
from meshkit_fastprobe.probes.base import AsyncProbe, SyncProbe

Check = Callable[[], Outcome | None]
AsyncCheck = Callable[[], Awaitable[Outcome | None]]


class AsyncCallable(msgspec.Struct, frozen=True, gc=True):
    """An `async def` without arguments."""

    kind: ClassVar[str] = "callable"
    check: AsyncCheck

    @property
    def target(self) -> str:
        return _where(self.check)


class SyncCallable(msgspec.Struct, frozen=True, gc=True):
    """A plain function without arguments; it may block."""

    kind: ClassVar[str] = "callable"
    check: Check

    @property
    def target(self) -> str:
        return _where(self.check)


def from_callable(check: Check | AsyncCheck) -> AsyncCallable | SyncCallable:
    """Wrap what the embedder wrote, by whether it is a coroutine function."""
    if inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(getattr(check, "__call__", None)):  # noqa: B004
        return AsyncCallable(cast("AsyncCheck", check))
    if not callable(check):
        raise TypeError(f"a probe must be callable, not {type(check).__name__}")
    return SyncCallable(cast("Check", check))


def _where(check: object) -> str:
    return f"{getattr(check, '__module__', '?')}.{getattr(check, '__qualname__', type(check).__qualname__)}"


_async: type[AsyncProbe] = AsyncCallable
_sync: type[SyncProbe] = SyncCallable
