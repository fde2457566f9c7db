"""The pace of checks.py, kept by Diagnostics: ingest, windows and all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import trio

import meshkit_fastprobe as fp
from benchmarks.measure import Meter, percentile, rss_bytes
from benchmarks.shared.checks import figures


async def run_diagnostics(
    workload: dict[str, Any], probes: Iterator[fp.TcpProbe | fp.HttpProbe | fp.DnsProbe | fp.IcmpProbe]
) -> dict[str, Any]:
    diag = fp.Diagnostics(
        fp.Settings(host="bench", first_run_window_s=workload.get("first_run_window_s", workload["warmup_s"] / 2))
    )
    diag.add_many(probes, interval=workload["interval_s"], timeout=min(workload["timeout_s"], workload["interval_s"]))
    async with diag:
        if workload.get("settled"):
            await _settled(diag, workload["targets"])
        await trio.sleep(workload["warmup_s"])
        before = diag.snapshot().totals
        made_before = made(diag)
        with Meter() as meter:
            await trio.sleep(workload["seconds"])
        checks = made(diag) - made_before
        after = diag.snapshot()
        own = _beside_the_kernel(diag, after) if workload.get("every_run_remembered") else {}
        resident_bytes = rss_bytes()
        totals = after.totals
        (group,) = after.groups(by=())
    failed = (totals.runs - totals.ok) - (before.runs - before.ok)
    return figures(workload, meter, checks, failed, []) | {
        "p50_ms": group.p50_s * 1e3,
        "p99_ms": group.p99_s * 1e3,
        "rss_bytes": resident_bytes,
        "dropped": totals.dropped,
        **own,
    }


def _beside_the_kernel(diag: fp.Diagnostics, seen: fp.Snapshot) -> dict[str, float]:
    """What is reported, over what each of these runs was recorded with: the kernel's round trip, in whole microseconds."""
    recorded = diag.table.column("recent")["latency_s"]
    recorded_s = np.sort(recorded[recorded > 0])
    assert len(recorded_s) == seen.totals.runs, "each probe remembers its last runs: make the time shorter"
    kernel_p99_s = percentile(recorded_s.tolist(), 0.99)
    (group,) = seen.groups(by=())
    return {"kernel_p99_ms": kernel_p99_s * 1e3, "p99_against_own": group.p99_s / kernel_p99_s}


def made(diag: fp.Diagnostics) -> int:
    """Checks of the native lane since the start, counted where they are made.

    The host takes results in together, up to 0.1 s later, and that delay drifts against the seconds measured: by its count, one
    or two in a hundred of the checks are missing from a short run.
    """
    return diag.engine_stats()["runs_finished"]


async def placed(diag: fp.Diagnostics, probes: int) -> None:
    """Until the engine knows all of them."""
    while diag.engine_stats()["slots"] < probes:  # noqa: ASYNC110 - the engine's own count; nothing tells of it
        await trio.sleep(0.1)


async def _settled(diag: fp.Diagnostics, probes: int) -> None:
    """Until each has had its first verdict: that one is news, and costs its log line."""
    await placed(diag, probes)
    states = diag.table.column("state")[:probes]
    while (states == fp.State.UNKNOWN).any():  # noqa: ASYNC110 - the same
        await trio.sleep(0.1)
