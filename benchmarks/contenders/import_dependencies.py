"""The runtime dependencies of meshkit-fastprobe alone."""

from typing import Any

from benchmarks.shared.importing import cost_of


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return cost_of("numpy", "trio", "msgspec", "prometheus_client")
