"""The pace of checks.py, kept by Diagnostics: ingest, windows and all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.measure import Meter
from benchmarks.shared.checks import figures


async def run_diagnostics(workload: dict[str, Any], probes: Iterator[fp.TcpProbe | fp.HttpProbe]) -> dict[str, Any]:
    diag = fp.Diagnostics(fp.Settings(host="bench", first_run_window_s=workload["warmup_s"] / 2))
    diag.add_many(probes, interval=workload["interval_s"], timeout=min(workload["timeout_s"], workload["interval_s"]))
    async with diag:
        await trio.sleep(workload["warmup_s"])
        before = diag.snapshot().totals
        with Meter() as meter:
            await trio.sleep(workload["seconds"])
        after = diag.snapshot()
        totals = after.totals
        p99_s = after.groups(by=())[0].p99_s
    checks = totals.runs - before.runs
    return figures(workload, meter, checks, checks - (totals.ok - before.ok), []) | {
        "p99_ms": p99_s * 1e3,
        "dropped": totals.dropped,
    }
