"""Our wheel in C, through its public header."""

from typing import Any

from benchmarks import programs


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return programs.run_json("timers", "fastprobe", str(workload["timers"]), str(workload["seed"]))
