"""The loop everybody writes first: a task a probe, `while True: with move_on_after(t): await probe(); await sleep(i)`."""

from typing import Any

import trio

from benchmarks.shared.naive_tasks import run_tasks


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(run_tasks, workload, False)
