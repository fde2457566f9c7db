"""Nothing in between."""

from typing import Any

from benchmarks.shared.streaming import Opened, delayed, streamed


def run(workload: dict[str, Any]) -> dict[str, Any]:
    opened: Opened = lambda port: (port, lambda: None)  # noqa: E731 - a name for nothing
    return delayed({**workload, "delay_s": 0.0}, opened) if workload["delay_s"] else streamed(workload, opened)
