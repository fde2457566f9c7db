"""Groups merged in C by membership, quantiles in C."""

from typing import Any

import numpy as np

from benchmarks.measure import Meter
from benchmarks.shared.batches import filled_table, rounds
from meshkit_fastprobe._native import histogram, layout

TURNS = 10


def run(workload: dict[str, Any]) -> dict[str, Any]:
    groups, n = workload["groups"], workload["results"]
    table = filled_table(workload["probes"], groups)
    table.ingest(rounds(workload), n, np.zeros(n, layout.TRANSITION))
    sums, runs = np.zeros((groups, layout.HIST_BUCKETS), np.uint64), np.zeros((groups, 5), np.uint64)
    wanted = np.array([0.5, 0.99])
    table.merge_groups(groups, sums, runs)
    with Meter() as meter:
        for _ in range(TURNS):
            table.merge_groups(groups, sums, runs)
            found = histogram.quantiles(sums, wanted)
    return {"ms": meter.cpu_s / TURNS * 1e3, "p99_of_group_0_ms": float(found[0, 1]) * 1e3}
