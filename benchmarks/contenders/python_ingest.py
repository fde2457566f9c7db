"""One object a probe, one method call a result: what a callback per result comes to."""

import math
from typing import Any

from benchmarks.measure import Meter
from benchmarks.shared.batches import FALL, RISE, rounds
from meshkit_fastprobe._native.layout import HIST_BUCKETS

UNKNOWN, HEALTHY, UNHEALTHY, TIMEOUT = 0, 1, 3, 3


class Probe:
    __slots__ = ("histogram", "last_latency_ns", "last_result", "latency_sum_s", "passing", "runs", "state", "streak")

    def __init__(self) -> None:
        self.runs = [0] * 5
        self.histogram: dict[int, int] = {}
        self.state, self.streak, self.passing = UNKNOWN, 0, False
        self.last_result, self.last_latency_ns, self.latency_sum_s = 0, 0, 0.0

    def on_result(self, result: int, latency_ns: int) -> bool:
        self.runs[result] += 1
        bucket = HIST_BUCKETS - 1 if result == TIMEOUT else min(max(int(math.log2(latency_ns * 1e-3) * 8), 0), HIST_BUCKETS - 2)
        self.histogram[bucket] = self.histogram.get(bucket, 0) + 1
        self.latency_sum_s += latency_ns * 1e-9
        self.last_result, self.last_latency_ns = result, latency_ns
        passed = result <= 1
        self.streak = self.streak + 1 if passed is self.passing else 1
        self.passing = passed
        before = self.state
        if passed and self.streak >= RISE:
            self.state = HEALTHY
        elif not passed and self.streak >= FALL:
            self.state = UNHEALTHY
        return self.state != before


def run(workload: dict[str, Any]) -> dict[str, Any]:
    probes, n = [Probe() for _ in range(workload["probes"])], workload["results"]
    records = rounds(workload)
    slots, results, latencies = (records[name].tolist() for name in ("slot", "result", "latency_ns"))
    with Meter() as meter:
        moved = sum(
            probes[slot].on_result(result, latency_ns)
            for slot, result, latency_ns in zip(slots, results, latencies, strict=True)
        )
    return {"results_per_s": n / meter.cpu_s, "ns_per_result": meter.cpu_s / n * 1e9, "transitions": moved}
