"""The naive trio loop, measured: shared by contenders trio_naive and trio_naive_spread.

What measuring adds to a run (two clock readings, one append) is about half a microsecond.
"""

from __future__ import annotations

from typing import Any

import trio

from benchmarks.measure import Meter, percentile, rss_bytes


async def run_tasks(workload: dict[str, Any], spread: bool) -> dict[str, Any]:
    n, interval_s, timeout_s = workload["probes"], workload["interval_s"], workload["timeout_s"]
    lags_s: list[float] = []

    async def probe() -> None:
        await trio.lowlevel.checkpoint()

    async def loop(first_s: float) -> None:
        due = trio.current_time() + first_s
        await trio.sleep(first_s)
        while True:
            lags_s.append(trio.current_time() - due)
            with trio.move_on_after(timeout_s):
                await probe()
            due = trio.current_time() + interval_s
            await trio.sleep(interval_s)

    empty_bytes = rss_bytes()
    meter = Meter()
    async with trio.open_nursery() as nursery:
        for i in range(n):
            nursery.start_soon(loop, interval_s * i / n if spread else 0.0)
        await trio.sleep(workload["warmup_s"])
        full_bytes = rss_bytes()
        lags_s.clear()
        with meter:
            await trio.sleep(workload["seconds"])
        runs = len(lags_s)
        nursery.cancel_scope.cancel()
    return {
        "cpu_us_per_run": meter.cpu_s / runs * 1e6,
        "delivered": runs / (n / interval_s * workload["seconds"]),
        "lag_p50_ms": percentile(lags_s, 0.50) * 1e3,
        "lag_p99_ms": percentile(lags_s, 0.99) * 1e3,
        "bytes_per_probe": (full_bytes - empty_bytes) / n,
    }
