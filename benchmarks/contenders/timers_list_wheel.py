"""The textbook in C: a cascading wheel of intrusive doubly-linked lists."""

from typing import Any

from benchmarks import programs


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return programs.run_json("timers", "list_wheel", str(workload["timers"]), str(workload["seed"]))
