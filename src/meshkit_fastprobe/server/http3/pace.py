"""How much of something may come: so many a second in the long run, and some more at once."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Pace:
    """What is beyond it is not waited for: the caller drops it."""

    def __init__(self, rate: float, burst: int, now_s: Callable[[], float] = trio.current_time) -> None:
        self._every_s = 1 / rate
        self._tolerance_s = burst / rate
        self._now_s = now_s
        self._due_s = 0.0

    def take(self) -> bool:
        """Generic cell rate algorithm: one number says when the next would be due if they came evenly."""
        now_s = self._now_s()
        due_s = max(self._due_s, now_s)
        if due_s - now_s > self._tolerance_s:
            return False
        self._due_s = due_s + self._every_s
        return True
