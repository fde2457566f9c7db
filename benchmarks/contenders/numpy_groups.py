"""reduceat over rows that lie in the order of their groups, then cumulative sums."""

from typing import Any

import numpy as np

from benchmarks.measure import Meter
from benchmarks.shared.batches import filled_table, rounds
from meshkit_fastprobe._native import histogram, layout

TURNS = 10


def run(workload: dict[str, Any]) -> dict[str, Any]:
    groups, n, probes = workload["groups"], workload["results"], workload["probes"]
    table = filled_table(probes, groups)
    table.ingest(rounds(workload), n, np.zeros(n, layout.TRANSITION))
    rows = table.column("histogram")[:probes]
    starts = np.arange(groups) * probes // groups
    bounds_s = histogram.upper_bounds_s()
    with Meter() as meter:
        for _ in range(TURNS):
            cumulative = np.add.reduceat(rows, starts, axis=0, dtype=np.uint32).cumsum(axis=1)
            total = cumulative[:, -1]
            found = [bounds_s[np.argmax(cumulative >= np.ceil(share * total)[:, None], axis=1)] for share in (0.5, 0.99)]
    return {"ms": meter.cpu_s / TURNS * 1e3, "p99_of_group_0_ms": float(found[1][0]) * 1e3}
