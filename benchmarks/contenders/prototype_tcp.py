"""The prototype of a TCP check with a whole handshake on a socket that is used again."""

from typing import Any

from benchmarks.shared import prototype


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return prototype.run_engine(workload, prototype.TCP, prototype.EDGE_TRIGGERED | prototype.REUSE)
