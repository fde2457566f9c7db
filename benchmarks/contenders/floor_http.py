"""The floor of an HTTP check: the same system calls from a plain C loop."""

from typing import Any

from benchmarks.shared.floor_client import run_floor


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_floor(workload, "keep" if workload["keep_alive"] else "http")
