"""A C client that connects and resets, with nothing to keep of its targets: what the kernel asks for as many addresses."""

from typing import Any

from benchmarks.shared.connect_client import run_connect_client


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_connect_client(workload, "kernel")
