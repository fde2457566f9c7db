"""Our native lane: GET, status and framing checked."""

from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import run_diagnostics


def run(workload: dict[str, Any]) -> dict[str, Any]:
    port, keep_alive = workload["port"], workload["keep_alive"]
    probes = (fp.HttpProbe(f"http://{address}:{port}/healthz", keep_alive=keep_alive) for address in addresses(workload))
    return trio.run(run_diagnostics, workload, probes)
