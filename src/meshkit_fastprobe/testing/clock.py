"""Hours of probing in milliseconds: trio's clock jumps when everybody waits, and the engine is stepped on that clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio.testing

from meshkit_fastprobe.model import Settings
from meshkit_fastprobe.runtime import Diagnostics

T = TypeVar("T")


def virtual_clock() -> trio.testing.MockClock:
    """For `trio.run(main, clock=...)`, or what a test framework asks for."""
    return trio.testing.MockClock(autojump_threshold=0)


def on_virtual_clock(main: Callable[[], Awaitable[T]]) -> T:
    """Run it to its end on a clock of its own; what it waits for costs no time, unless it waits for a socket or a thread."""
    return trio.run(main, clock=virtual_clock())


def stepped(**settings: Any) -> Diagnostics:
    """A Diagnostics whose schedule, deadlines and windows follow trio's clock. Real sockets follow the host's."""
    return Diagnostics(Settings(**{"host": "test", **settings, "engine": "inline"}))
