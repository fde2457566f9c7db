"""Our native lane: echo requests that are due together leave together, over one raw socket."""

from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import run_diagnostics


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(run_diagnostics, workload, (fp.IcmpProbe(address) for address in addresses(workload)))
