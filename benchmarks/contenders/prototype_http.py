"""The prototype of an HTTP check, on a new connection of a socket that is used again, or on a kept one."""

from typing import Any

from benchmarks.shared import prototype


def run(workload: dict[str, Any]) -> dict[str, Any]:
    if workload["keep_alive"]:
        return prototype.run_engine(workload, prototype.KEPT)
    return prototype.run_engine(workload, prototype.HTTP, prototype.EDGE_TRIGGERED | prototype.REUSE)
