"""Our native lane with handshake "half": reset on SYN-ACK, as HAProxy does."""

from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import run_diagnostics


def run(workload: dict[str, Any]) -> dict[str, Any]:
    port = workload["port"]
    probes = (fp.TcpProbe(f"{address}:{port}", handshake="half") for address in addresses(workload))
    return trio.run(run_diagnostics, workload, probes)
