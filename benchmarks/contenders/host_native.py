"""Our native lane in its own thread, as it comes."""

from typing import Any

from benchmarks.shared.host_diagnostics import run_in_host


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_in_host(workload, "thread")
