"""A 4-ary heap with a position index, in C."""

from typing import Any

from benchmarks import programs


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return programs.run_json("timers", "heap4", str(workload["timers"]), str(workload["seed"]))
