"""A C client: the clock around a blocking connect in C."""

from typing import Any

from benchmarks.shared.connect_client import run_connect_client


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_connect_client(workload, "clock")
