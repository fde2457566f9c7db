"""NumPy over struct of arrays, a round at a time: a slot occurs once in a round, so plain fancy indexing does."""

from typing import Any

import numpy as np

from benchmarks.measure import Meter
from benchmarks.shared.batches import FALL, RISE, rounds
from meshkit_fastprobe._native.layout import HIST_BUCKETS

HEALTHY, UNHEALTHY, TIMEOUT = 1, 3, 3


class Columns:
    def __init__(self, probes: int) -> None:
        self.runs = np.zeros((probes, 5), np.uint32)
        self.histogram = np.zeros((probes, HIST_BUCKETS), np.uint32)
        self.streak = np.zeros(probes, np.int16)
        self.passing = np.zeros(probes, bool)
        self.state = np.zeros(probes, np.uint8)
        self.last_result = np.zeros(probes, np.uint8)
        self.last_latency_ns = np.zeros(probes, np.uint64)
        self.latency_sum_s = np.zeros(probes)

    def ingest(self, slot, result, latency_ns) -> int:
        self.runs[slot, result] += 1
        bucket = np.clip(np.log2(latency_ns * 1e-3) * 8, 0, HIST_BUCKETS - 2).astype(np.intp)
        bucket[result == TIMEOUT] = HIST_BUCKETS - 1
        self.histogram[slot, bucket] += 1
        self.latency_sum_s[slot] += latency_ns * 1e-9
        self.last_result[slot] = result
        self.last_latency_ns[slot] = latency_ns

        passed = result <= 1
        streak = np.where(passed == self.passing[slot], np.minimum(self.streak[slot] + 1, 100), 1)
        self.streak[slot] = streak
        self.passing[slot] = passed
        state = self.state[slot]
        to = np.where(passed & (streak >= RISE), HEALTHY, np.where(~passed & (streak >= FALL), UNHEALTHY, state))
        self.state[slot] = to
        return int(np.count_nonzero(to != state))


def run(workload: dict[str, Any]) -> dict[str, Any]:
    columns, n, probes = Columns(workload["probes"]), workload["results"], workload["probes"]
    _ingest(columns, rounds(workload), probes)
    records = rounds(workload, first=n // probes)
    with Meter() as meter:
        moved = _ingest(columns, records, probes)
    return {"results_per_s": n / meter.cpu_s, "ns_per_result": meter.cpu_s / n * 1e9, "transitions": moved}


def _ingest(columns: Columns, records, probes: int) -> int:
    moved = 0
    for start in range(0, len(records), probes):
        batch = records[start : start + probes]
        moved += columns.ingest(batch["slot"].astype(np.intp), batch["result"], batch["latency_ns"])
    return moved
