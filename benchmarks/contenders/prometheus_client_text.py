"""prometheus_client.generate_latest over our Collector."""

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.measure import Meter
from benchmarks.shared.populated import populated
from meshkit_fastprobe.telemetry.collector import Collector


def run(workload: dict[str, Any]) -> dict[str, Any]:
    registry = CollectorRegistry()
    registry.register(Collector(populated(workload["probes"], workload["seed"])))
    generate_latest(registry)
    with Meter() as meter:
        text = generate_latest(registry)
    return {"cpu_ms": meter.cpu_s * 1e3, "mib": len(text) / 2**20, "longest_ms": meter.wall_s * 1e3}
