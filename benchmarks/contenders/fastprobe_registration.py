"""Diagnostics.add_many of native HTTP probes from specs, then memory once each of them has run."""

import time
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.measure import rss_bytes
from benchmarks.shared.checks import addresses


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(_run, workload)


async def _run(workload: dict[str, Any]) -> dict[str, Any]:
    n, interval_s = workload["targets"], workload["interval_s"]
    diag = fp.Diagnostics(fp.Settings(host="bench", first_run_window_s=interval_s))
    urls = [f"http://{address}:{workload['port']}/healthz" for address in addresses(workload)]
    empty_bytes = rss_bytes()
    began = time.perf_counter()
    diag.add_many((fp.HttpProbe(url) for url in urls), interval=interval_s, timeout=workload["timeout_s"], namespace="edge")
    registered_s = time.perf_counter() - began
    registered_bytes = rss_bytes()
    async with diag:
        started_s = time.perf_counter() - began
        await trio.sleep(workload["seconds"])
        ran_bytes = rss_bytes()
        snapshot = diag.snapshot()
        ran = int(((snapshot.columns["ok"] + snapshot.columns["fail"]) > 0).sum())
    return {
        "registered_s": registered_s,
        "started_s": started_s,
        "kib_registered": (registered_bytes - empty_bytes) / n / 1024,
        "kib_after_a_run": (ran_bytes - empty_bytes) / n / 1024,
        "ran": ran / n,
    }
