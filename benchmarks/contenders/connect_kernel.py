"""A C client: the kernel's own tcpi_rtt of each connect: the truth the others are held to."""

from typing import Any

from benchmarks.shared.connect_client import run_connect_client


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_connect_client(workload, "kernel")
