"""Our native lane: the C engine in its own thread, full handshake, reset at the end."""

from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import run_diagnostics


def run(workload: dict[str, Any]) -> dict[str, Any]:
    port = workload["port"]
    return trio.run(run_diagnostics, workload, (fp.TcpProbe(f"{address}:{port}") for address in addresses(workload)))
