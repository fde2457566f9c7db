"""Ctrl-C and SIGTERM as an orderly end: the work is cancelled at its own scope and still returns its result."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

R = TypeVar("R")
O = TypeVar("O")  # noqa: E741 - the options of the work

_stops: list[trio.CancelScope] = []


async def until_interrupted(work: Callable[[O], Awaitable[R]], options: O) -> R:
    """Run work(options); the first signal cancels every scope that `stoppable` opened, the second one the process."""

    async def listen(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                for scope in _stops:
                    scope.cancel()
                return

    async with trio.open_nursery() as nursery:
        await nursery.start(listen)
        result = await work(options)
        nursery.cancel_scope.cancel()
    return result


class stoppable:  # noqa: N801 - used like a function
    """`with stoppable(seconds):` ends quietly after that time or at the first signal."""

    def __init__(self, seconds: float | None) -> None:
        self._scope = trio.CancelScope(deadline=float("inf") if seconds is None else trio.current_time() + seconds)

    def __enter__(self) -> trio.CancelScope:
        _stops.append(self._scope)
        return self._scope.__enter__()

    def __exit__(self, *error: object) -> bool | None:
        _stops.remove(self._scope)
        return self._scope.__exit__(*error)  # type: ignore[arg-type]  # passed on as they came
