"""Our task lane: the same coroutine function registered as that many probes."""

from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.measure import Meter, rss_bytes


async def probe() -> None:
    await trio.lowlevel.checkpoint()


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(_run, workload)


async def _run(workload: dict[str, Any]) -> dict[str, Any]:
    n, interval_s = workload["probes"], workload["interval_s"]
    empty_bytes = rss_bytes()
    diag = fp.Diagnostics(fp.Settings(host="bench", first_run_window_s=workload["warmup_s"] / 2))
    for i in range(n):
        diag.probe(f"probe-{i}", interval=interval_s, timeout=workload["timeout_s"])(probe)
    async with diag:
        await trio.sleep(workload["warmup_s"])
        full_bytes = rss_bytes()
        before = diag.snapshot().totals
        with Meter() as meter:
            await trio.sleep(workload["seconds"])
        totals = diag.snapshot().totals
    runs = totals.runs - before.runs
    return {
        "cpu_us_per_run": meter.cpu_s / runs * 1e6,
        "delivered": runs / (n / interval_s * workload["seconds"]),
        "lag_p50_ms": totals.lag_p50_s * 1e3,
        "lag_p99_ms": totals.lag_p99_s * 1e3,
        "bytes_per_probe": (full_bytes - empty_bytes) / n,
        "skipped": totals.skipped,
        "dropped": totals.dropped,
    }
