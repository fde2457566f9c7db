"""The table's ingest: one call for the batch."""

from typing import Any

import numpy as np

from benchmarks.measure import Meter
from benchmarks.shared.batches import filled_table, rounds
from meshkit_fastprobe._native import layout


def run(workload: dict[str, Any]) -> dict[str, Any]:
    table, n = filled_table(workload["probes"], 100), workload["results"]
    transitions = np.zeros(n, layout.TRANSITION)
    table.ingest(rounds(workload), n, transitions)
    records = rounds(workload, first=n // workload["probes"])
    with Meter() as meter:
        moved = table.ingest(records, n, transitions)
    return {"results_per_s": n / meter.cpu_s, "ns_per_result": meter.cpu_s / n * 1e9, "transitions": moved}
