"""Our native lane stepped inside the host's loop: no thread, but turns of the loop."""

from typing import Any

from benchmarks.shared.host_diagnostics import run_in_host


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_in_host(workload, "inline")
