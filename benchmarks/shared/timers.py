"""The workloads of native/timers/main.c, for timer structures that are driven from Python."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import Any

from benchmarks.measure import Meter

HORIZON_MS = 60_000
WARM_UP_MS = 10_000
MEASURED_MS = 60_000
SHORTEST_MS, LONGEST_MS = 1_000, 60_000


class Timers(ABC):
    """Timers 0 .. count-1, in ticks of 1 ms."""

    @abstractmethod
    def arm(self, timer: int, due_ms: int, interval_ms: int) -> None: ...

    @abstractmethod
    def cancel(self, timer: int) -> None: ...

    @abstractmethod
    def expire(self, now_ms: int) -> int:
        """All that is due; how many. Periodic timers re-arm themselves."""


def measure(make: type[Timers], workload: dict[str, Any]) -> dict[str, Any]:
    count = workload["timers"]
    draw = random.Random(workload["seed"])
    dues = [1 + draw.randrange(HORIZON_MS) for _ in range(count)]
    intervals = [draw.randint(SHORTEST_MS, LONGEST_MS) for _ in range(count)]
    order = draw.sample(range(count), count)
    return {**_one_shots(make(count), dues, order), **_periodic(make(count), dues, intervals, order)}


def _one_shots(timers: Timers, dues: list[int], order: list[int]) -> dict[str, float]:
    with Meter() as arming:
        for timer in order:
            timers.arm(timer, dues[timer], 0)
    with Meter() as cancelling:
        for timer in order:
            timers.cancel(timer)
    for timer in order:
        timers.arm(timer, dues[timer], 0)
    with Meter() as expiring:
        expired = sum(timers.expire(now_ms) for now_ms in range(1, HORIZON_MS + 1))
    assert expired == len(dues)
    return {
        "arm_ns": arming.cpu_s / len(dues) * 1e9,
        "cancel_ns": cancelling.cpu_s / len(dues) * 1e9,
        "expire_ns": expiring.cpu_s / len(dues) * 1e9,
    }


def _periodic(timers: Timers, dues: list[int], intervals: list[int], order: list[int]) -> dict[str, float]:
    for timer in order:
        timers.arm(timer, 1 + dues[timer] % intervals[timer], intervals[timer])
    for now_ms in range(1, WARM_UP_MS + 1):
        timers.expire(now_ms)
    with Meter() as firing:
        fired = sum(timers.expire(now_ms) for now_ms in range(WARM_UP_MS + 1, WARM_UP_MS + MEASURED_MS + 1))
    return {"fire_ns": firing.cpu_s / fired * 1e9, "fired": fired, "core_percent": firing.cpu_s / (MEASURED_MS / 1e3) * 100}
