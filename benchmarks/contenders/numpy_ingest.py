"""NumPy over a batch as it comes: a slot may occur in it any number of times, so streaks need the results in order of slots."""

from typing import Any

import numpy as np

from benchmarks.measure import Meter
from benchmarks.shared.batches import FALL, RISE, rounds
from meshkit_fastprobe._native.layout import HIST_BUCKETS

HEALTHY, UNHEALTHY, TIMEOUT = 1, 3, 3


class Columns:
    def __init__(self, probes: int) -> None:
        self.runs = np.zeros(probes * 5, np.int64)
        self.histogram = np.zeros(probes * HIST_BUCKETS, np.uint32)
        self.streak = np.zeros(probes, np.int64)
        self.passing = np.zeros(probes, bool)
        self.state = np.zeros(probes, np.uint8)
        self.last_result = np.zeros(probes, np.uint8)
        self.last_latency_ns = np.zeros(probes, np.uint64)
        self.latency_sum_s = np.zeros(probes)

    def ingest(self, slot, result, latency_ns) -> int:
        probes = len(self.state)
        self.runs += np.bincount(slot * 5 + result, minlength=probes * 5)
        bucket = np.clip(np.log2(latency_ns * 1e-3) * 8, 0, HIST_BUCKETS - 2).astype(np.intp)
        bucket[result == TIMEOUT] = HIST_BUCKETS - 1
        np.add.at(self.histogram, slot * HIST_BUCKETS + bucket, np.uint32(1))
        self.latency_sum_s += np.bincount(slot, latency_ns * 1e-9, probes)

        order = np.argsort(slot, kind="stable")
        of, passed = slot[order], result[order] <= 1
        first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
        last = np.r_[first[1:], len(of)] - 1
        self.last_result[of[last]] = result[order[last]]
        self.last_latency_ns[of[last]] = latency_ns[order[last]]
        return self._move(of, passed, first, last)

    def _move(self, of, passed, first, last) -> int:
        """Streaks by the distance to where a run of like results began; states where a streak is long enough."""
        at = np.arange(len(of))
        turned = np.r_[True, (passed[1:] != passed[:-1]) | (of[1:] != of[:-1])]
        streak = at - np.maximum.accumulate(np.where(turned, at, 0)) + 1
        carried = first[passed[first] == self.passing[of[first]]]
        run_of = np.cumsum(turned) - 1
        extra = np.zeros(run_of[-1] + 1, np.int64)
        extra[run_of[carried]] = self.streak[of[carried]]
        streak += extra[run_of]
        self.streak[of[last]], self.passing[of[last]] = streak[last], passed[last]

        decides = np.flatnonzero(np.where(passed, streak >= RISE, streak >= FALL))
        to = np.where(passed[decides], HEALTHY, UNHEALTHY).astype(np.uint8)
        new = np.r_[True, of[decides][1:] != of[decides][:-1]]
        before = np.where(new, self.state[of[decides]], np.r_[np.uint8(0), to[:-1]])
        self.state[of[decides]] = to
        return int(np.count_nonzero(to != before))


def run(workload: dict[str, Any]) -> dict[str, Any]:
    columns, n = Columns(workload["probes"]), workload["results"]
    _ingest(columns, rounds(workload))
    records = rounds(workload, first=n // workload["probes"])
    with Meter() as meter:
        moved = _ingest(columns, records)
    return {"results_per_s": n / meter.cpu_s, "ns_per_result": meter.cpu_s / n * 1e9, "transitions": moved}


def _ingest(columns: Columns, records) -> int:
    return columns.ingest(records["slot"].astype(np.intp), records["result"], records["latency_ns"])
