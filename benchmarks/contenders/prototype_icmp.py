"""The prototype of an ICMP echo over a raw socket, 32 in a system call."""

from typing import Any

from benchmarks.shared import prototype


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return prototype.run_datagrams(workload, prototype.ICMP)
