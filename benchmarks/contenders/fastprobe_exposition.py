"""telemetry.exposition: pages rendered in C from the table's columns."""

import time
from typing import Any

from benchmarks.measure import Meter
from benchmarks.shared.populated import populated
from meshkit_fastprobe.telemetry.exposition import Exposition

SCRAPES = 20


def run(workload: dict[str, Any]) -> dict[str, Any]:
    exposition = Exposition(populated(workload["probes"], workload["seed"]))
    _scrape(exposition)
    longest_s = []
    with Meter() as meter:
        for _ in range(SCRAPES):
            size, longest = _scrape(exposition)
            longest_s.append(longest)
    return {
        "cpu_ms": meter.cpu_s / SCRAPES * 1e3,
        "mib": size / 2**20,
        "longest_ms": sorted(longest_s)[SCRAPES // 2] * 1e3,
        "cache_bytes": exposition.cache_bytes / workload["probes"],
    }


def _scrape(exposition: Exposition) -> tuple[int, float]:
    """Page by page, as the server takes them; bytes, and the longest time that one page took."""
    size, longest_s, began = 0, 0.0, time.perf_counter()
    for page in exposition.pages():
        size += len(page)
        now = time.perf_counter()
        longest_s, began = max(longest_s, now - began), now
    return size, longest_s
