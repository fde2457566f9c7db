"""Nothing in between."""

from typing import Any

from benchmarks.shared.streaming import streamed


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return streamed(workload, lambda port: (port, lambda: None))
