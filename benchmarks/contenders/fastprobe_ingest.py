"""The table's ingest: one call for the batch."""

from typing import Any

import numpy as np

from benchmarks.measure import Meter
from benchmarks.shared.batches import filled_table, rounds
from meshkit_fastprobe._native import layout

TURNS = 5


def run(workload: dict[str, Any]) -> dict[str, Any]:
    table, n = filled_table(workload["probes"], 100), workload["results"]
    transitions = np.zeros(n, layout.TRANSITION)
    table.ingest(rounds(workload), n, transitions)
    batches = [rounds(workload, first=(turn + 1) * n // workload["probes"]) for turn in range(TURNS)]
    with Meter() as meter:
        moved = [table.ingest(records, n, transitions) for records in batches]
    taken = TURNS * n
    return {"results_per_s": taken / meter.cpu_s, "ns_per_result": meter.cpu_s / taken * 1e9, "transitions": moved[0]}
