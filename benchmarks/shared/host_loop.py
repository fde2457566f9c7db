"""What the host's event loop feels: a task that sleeps 1 ms and again, alone and beside the checks by turns, in one process.

The machine has moods of some seconds; idle and busy slices that alternate meet the same ones, and are pooled. Checks may use
every core, as in a host; only what the runner pinned is widened again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import trio

from benchmarks.measure import percentile

SLEEP_S = 0.001
RESULTS_PER_S = 50_000
"""The pace at which the share of a core is told."""

Count = Callable[[], int]
"""Checks done so far."""


@dataclass
class Watch:
    """The loop during some seconds: lags of the sleeper, CPU of this thread, wall time."""

    lags_s: list[float] = field(default_factory=list)
    thread_s: float = 0.0
    wall_s: float = 0.0

    async def go_on(self, seconds: float) -> None:
        thread_s, began = time.thread_time(), time.perf_counter()
        while (before := time.perf_counter()) < began + seconds:
            await trio.sleep(SLEEP_S)
            self.lags_s.append(time.perf_counter() - before - SLEEP_S)
        self.thread_s += time.thread_time() - thread_s
        self.wall_s += time.perf_counter() - began

    @property
    def core(self) -> float:
        return self.thread_s / self.wall_s


async def beside(workload: dict[str, Any], checks: Callable[[], AbstractAsyncContextManager[Count]]) -> dict[str, Any]:
    """checks: runs them while the block is open."""
    usable = range(os.cpu_count() or 1)
    os.sched_setaffinity(0, usable[:1] if workload.get("one_core") else usable)
    await Watch().go_on(0.5)
    idle, busy, done, probing = Watch(), Watch(), 0, {}
    for turn in range(workload["slices"]):
        await idle.go_on(workload["seconds"])
        async with checks() as count:
            await trio.sleep(workload["warmup_s"])
            before = count()
            await busy.go_on(workload["seconds"])
            done += count() - before
            if turn == 0:
                probing = await _alone(workload["seconds"], count)
    return _figures(workload, idle, busy, done) | probing


async def _alone(seconds: float, count: Count) -> dict[str, float]:
    """CPU of this thread with no task of the host awake: ingest and wake-ups, and for checks in the loop the checks."""
    before, thread_s, began = count(), time.thread_time(), time.perf_counter()
    await trio.sleep(seconds)
    used_s, wall_s, done = time.thread_time() - thread_s, time.perf_counter() - began, count() - before
    return {"probing_core": used_s / wall_s, **({"core_at_50k": used_s / done * RESULTS_PER_S} if done else {})}


def _figures(workload: dict[str, Any], idle: Watch, busy: Watch, done: int) -> dict[str, Any]:
    idle_p99_s, busy_p99_s = percentile(idle.lags_s, 0.99), percentile(busy.lags_s, 0.99)
    wanted = workload["targets"] / workload["interval_s"] * busy.wall_s
    return {
        "lag_p50_us": percentile(busy.lags_s, 0.5) * 1e6,
        "lag_p99_us": busy_p99_s * 1e6,
        "idle_p99_us": idle_p99_s * 1e6,
        "p99_against_idle": busy_p99_s / idle_p99_s,
        "core": busy.core,
        **({"delivered": done / wanted} if done else {}),
    }
