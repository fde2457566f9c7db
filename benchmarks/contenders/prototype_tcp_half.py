"""The prototype of a TCP check that never sends the last ACK, on a socket that is used again."""

from typing import Any

from benchmarks.shared import prototype


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return prototype.run_engine(workload, prototype.TCP, prototype.EDGE_TRIGGERED | prototype.REUSE | prototype.NO_FINAL_ACK)
