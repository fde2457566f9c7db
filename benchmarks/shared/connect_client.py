"""native/connect_client.c at the pace of checks.py."""

from __future__ import annotations

from typing import Any

from benchmarks import programs


def run_connect_client(workload: dict[str, Any], measured_by: str) -> dict[str, Any]:
    """measured_by: "kernel" or "clock"."""
    rate = workload["targets"] / workload["interval_s"]
    arguments = (workload["port"], workload["targets"], rate, workload["seconds"])
    said = programs.run_json("connect_client", *map(str, arguments))
    return {
        "p50_ms": said[f"{measured_by}_p50_us"] / 1e3,
        "p99_ms": said[f"{measured_by}_p99_us"] / 1e3,
        "cpu_us_per_check": said["cpu_us_per_check"],
        "core": said["cpu_us_per_check"] * said["rate"] / 1e6,
        "delivered": said["rate"] / rate,
        "failed": said["failed"],
    }
