"""A Diagnostics that is not started, whose table looks like one that has run for a while."""

from __future__ import annotations

import numpy as np

import meshkit_fastprobe as fp
from meshkit_fastprobe._native import layout

RUNS = 20


def populated(n: int, seed: int) -> fp.Diagnostics:
    diag = fp.Diagnostics(fp.Settings(host="bench", cluster="eu-1", max_probes=n))
    for namespace in range(10):
        addresses = (f"10.{namespace}.{number // 250}.{number % 250}:5432" for number in range(n // 10))
        diag.add_many((fp.TcpProbe(address) for address in addresses), namespace=f"team-{namespace}")
    random = np.random.default_rng(seed)
    records, transitions = np.zeros(n, layout.RECORD), np.zeros(n, layout.TRANSITION)
    records["slot"] = np.arange(n)
    records["generation"] = diag.table.column("generation")[:n]
    for run in range(RUNS):
        records["started_ns"] = 1_000_000_000 * (run + 1)
        records["latency_ns"] = random.lognormal(np.log(2e6), 1.0, n)
        records["lag_us"] = random.integers(0, 2000, n)
        records["result"] = random.choice([0, 0, 0, 0, 0, 0, 1, 2, 3], n)
        diag.table.ingest(records, n, transitions)
    return diag
