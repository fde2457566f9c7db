"""Our wheel, driven from Python."""

from typing import Any

import numpy as np

from benchmarks.shared import timers
from meshkit_fastprobe._native.wheel import EXPIRY, Wheel

MS = 1_000_000


class InPython(timers.Timers):
    def __init__(self, count: int) -> None:
        self._wheel = Wheel(count)
        self._out = np.empty(256, EXPIRY)

    def arm(self, timer: int, due_ms: int, interval_ms: int) -> None:
        self._wheel.arm(timer, due_ms * MS, interval_ms * MS)

    def cancel(self, timer: int) -> None:
        self._wheel.cancel(timer)

    def expire(self, now_ms: int) -> int:
        total = n = self._wheel.expire(now_ms * MS, self._out)
        while n == len(self._out):
            n = self._wheel.expire(now_ms * MS, self._out)
            total += n
        return total


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return timers.measure(InPython, workload)
