"""A host with that many probes, scraped by a process on the other core."""

import os
import sys
import time
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.contenders.fastprobe_pages import feel
from benchmarks.programs import pinned
from benchmarks.shared import scraper
from meshkit_fastprobe.access import SecuritySettings


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(main, workload)


async def main(workload: dict[str, Any]) -> dict[str, Any]:
    server = fp.ServerSettings(listen="127.0.0.1:0")
    diag = fp.Diagnostics(fp.Settings(host="h1", server=server, security=SecuritySettings(max_rate=100_000.0)))
    diag.add_many(
        (fp.TcpProbe(f"127.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:9") for n in range(workload["probes"])),
        interval=3600,
        timeout=1,
        namespace="edge",
        enabled=False,
    )
    async with diag:
        await _scrape(diag, 1)
        cpu_s, lags = time.process_time(), list[float]()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feel, lags)
            took_s, size = await _scrape(diag, workload["scrapes"])
            nursery.cancel_scope.cancel()
        cpu_s = time.process_time() - cpu_s
    lags.sort()
    return {
        "cpu_s": cpu_s / workload["scrapes"],
        "took_s": took_s,
        "lag_p50_ms": lags[len(lags) // 2] * 1e3,
        "lag_p99_ms": lags[int(0.99 * len(lags))] * 1e3,
        "lag_max_ms": lags[-1] * 1e3,
        "mib": size / 2**20,
    }


async def _scrape(diag: fp.Diagnostics, times: int) -> tuple[float, int]:
    """Seconds a scrape, and its bytes."""
    elsewhere = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    with pinned(elsewhere or os.sched_getaffinity(0)):
        command = [sys.executable, scraper.__file__, diag.address, diag.local_token, str(times)]
        ended = await trio.run_process(command, capture_stdout=True)
    took_s, size = ended.stdout.split()
    return float(took_s), int(size)
