"""import meshkit_fastprobe, and what making a Diagnostics needs."""

from typing import Any

from benchmarks.shared.importing import cost_of


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return cost_of("meshkit_fastprobe", then="Diagnostics")
