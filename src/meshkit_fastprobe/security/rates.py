"""Requests a second of each principal: token buckets, refilled by the time that has passed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MAX_REMEMBERED: Final = 4096
BURST_S: Final = 2.0
"""How long somebody who asked nothing may save up."""


class Rates:
    """max_rate may be changed at any time."""

    def __init__(self, max_rate: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self.max_rate = max_rate
        self._now_s = now_s
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, subject: str) -> float:
        """0 when a request may be answered now, else after how many seconds it may."""
        now_s = self._now_s()
        most = max(1.0, self.max_rate * BURST_S)
        left, at_s = self._left.get(subject, (most, now_s))
        left = min(most, left + (now_s - at_s) * self.max_rate)
        if len(self._left) >= MAX_REMEMBERED and subject not in self._left:
            self._forget_the_idle(now_s, most)
        if left < 1.0:
            self._left[subject] = (left, now_s)
            return (1.0 - left) / self.max_rate
        self._left[subject] = (left - 1.0, now_s)
        return 0.0

    def _forget_the_idle(self, now_s: float, most: float) -> None:
        """Full buckets say nothing. When none is full, all are forgotten: bounded memory goes before a bounded rate."""
        busy = {
            subject: (left, at_s)
            for subject, (left, at_s) in self._left.items()
            if left + (now_s - at_s) * self.max_rate < most
        }
        self._left = busy if len(busy) < MAX_REMEMBERED else {}
