"""Time a call with something before it, and the bare call, in turns; the least of each is the truth."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio

TURNS = 7


def over_bare_ns(workload: dict[str, Any], plain: Callable[[int], None], bare: Callable[[int], None]) -> dict[str, float]:
    """Both are told how often to call; what one takes longer than the other, a call."""
    calls = workload["calls"]
    taken: dict[Callable[[int], None], list[float]] = {plain: [], bare: []}
    for _ in range(TURNS):
        for what, seconds in taken.items():
            began = time.process_time()
            what(calls)
            seconds.append(time.process_time() - began)
    return {"over_bare_ns": (min(taken[plain]) - min(taken[bare])) / calls * 1e9}


def awaited(call: Callable[[int], Awaitable[None]]) -> Callable[[int], None]:
    return lambda calls: trio.run(call, calls)
