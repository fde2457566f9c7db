"""Callables of the embedder: async ones run in the task lane, sync ones in the thread lane."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, TypeAlias, cast

import msgspec

from meshkit_fastprobe.model import Lane, Outcome
from meshkit_fastprobe.probes.base import AsyncProbe, SyncProbe

Check: TypeAlias = Callable[[], Outcome | None]
AsyncCheck: TypeAlias = Callable[[], Awaitable[Outcome | None]]


class AsyncCallable(msgspec.Struct, frozen=True):
    """An `async def` without arguments."""

    kind: ClassVar[str] = "callable"
    lane: ClassVar[Lane] = Lane.TASK
    check: AsyncCheck

    @property
    def target(self) -> str:
        return _where(self.check)


class SyncCallable(msgspec.Struct, frozen=True):
    """A plain function without arguments; it may block."""

    kind: ClassVar[str] = "callable"
    lane: ClassVar[Lane] = Lane.THREAD
    check: Check

    @property
    def target(self) -> str:
        return _where(self.check)


def from_callable(check: Check | AsyncCheck) -> AsyncCallable | SyncCallable:
    """Wrap what the embedder wrote, by whether it is a coroutine function. TypeError for what needs arguments."""
    if not callable(check):
        raise TypeError(f"a probe must be callable, not {type(check).__name__}")
    _refuse_arguments(check)
    return AsyncCallable(cast("AsyncCheck", check)) if _is_async(check) else SyncCallable(cast("Check", check))


def _is_async(check: object) -> bool:
    """Whether calling it gives a coroutine: also for objects with an async __call__ and for partials of either."""
    inner = check
    while isinstance(inner, partial):
        inner = inner.func
    called = getattr(type(inner), "__call__", None)  # noqa: B004 - whether it is callable is known; what it calls is asked
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(called)


def _refuse_arguments(check: Callable[..., object]) -> None:
    try:
        inspect.signature(check).bind()
    except TypeError as error:
        raise TypeError(f"a probe is called without arguments, and {_where(check)} has a {error}") from None
    except ValueError:  # some builtins tell no signature
        pass


def _where(check: object) -> str:
    inner = check
    while isinstance(inner, partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', None) or '?'}.{name}"


_async: type[AsyncProbe] = AsyncCallable
_sync: type[SyncProbe] = SyncCallable
