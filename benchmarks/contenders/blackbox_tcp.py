"""blackbox_exporter, module tcp: serving /probe included, which is how it probes."""

from typing import Any

from benchmarks.shared.blackbox import run_blackbox


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_blackbox(workload, "tcp", "{address}:{port}")
