"""The naive loop with one improvement: each task first sleeps its share of the interval, so that runs do not start at once."""

from typing import Any

import trio

from benchmarks.shared.naive_tasks import run_tasks


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(run_tasks, workload, True)
