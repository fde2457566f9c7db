"""blackbox_exporter, module http: a new connection a check, serving /probe included."""

from typing import Any

from benchmarks.shared.blackbox import run_blackbox


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_blackbox(workload, "http", "http://{address}:{port}/healthz")
