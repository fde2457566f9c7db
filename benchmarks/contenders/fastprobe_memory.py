"""Native TCP probes, objects of their specs included: registered, with results in their histograms, the engine running."""

from typing import Any

import numpy as np
import trio

import meshkit_fastprobe as fp
from benchmarks.measure import rss_bytes
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import placed
from meshkit_fastprobe._native import layout

ROUNDS = 20
INTERVAL_S = 3600.0
"""Nothing falls due while we look."""


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(_run, workload)


def _settings(workload: dict[str, Any]) -> fp.Settings:
    return fp.Settings(
        host="bench",
        max_probes=workload["targets"],
        first_run_window_s=INTERVAL_S,
        compact_histograms=workload.get("compact", False),
    )


async def _run(workload: dict[str, Any]) -> dict[str, Any]:
    n = workload["targets"]
    fp.TcpProbe("127.0.0.1:1")  # what the first probe imports belongs to no probe
    empty_bytes = rss_bytes()
    diag = fp.Diagnostics(_settings(workload))
    diag.add_many((fp.TcpProbe(f"{address}:5432") for address in addresses(workload)), interval=INTERVAL_S, timeout=1.0)
    _answer(diag, n, workload["seed"])
    async with diag:
        await placed(diag, n)
        await trio.sleep(workload["seconds"])
        full_bytes = rss_bytes()
    return {"bytes_per_probe": (full_bytes - empty_bytes) / n, "mib": (full_bytes - empty_bytes) / 2**20}


def _answer(diag: fp.Diagnostics, n: int, seed: int) -> None:
    """Results into every row, in pieces: memory for the records is not to be counted as the probes'."""
    random = np.random.default_rng(seed)
    generations = diag.table.column("generation")[:n].copy()
    for first in range(0, n, 10_000):
        size = min(10_000, n - first)
        records, transitions = np.zeros(size, layout.RECORD), np.zeros(size, layout.TRANSITION)
        records["slot"] = np.arange(first, first + size)
        records["generation"] = generations[first : first + size]
        for turn in range(ROUNDS):
            records["started_ns"] = 1_000_000_000 * (turn + 1)
            records["latency_ns"] = random.lognormal(np.log(2e6), 1.0, size)
            diag.table.ingest(records, size, transitions)
