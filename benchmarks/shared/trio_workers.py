"""The pace of checks.py, kept by persistent trio workers, one sleep a check: the careful way without us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from benchmarks.measure import Meter
from benchmarks.shared.checks import WORKERS, figures, turns


async def pace_with_trio(workload: dict[str, Any], check: Callable[[int], Awaitable[bool]]) -> dict[str, Any]:
    """`check` tells whether its target passed."""
    latencies_s: list[float] = []
    failed = 0
    counting = False
    start = trio.current_time()

    async def work(worker: int) -> None:
        nonlocal failed
        for at, target in turns(worker, workload["targets"], workload["interval_s"]):
            await trio.sleep_until(start + at)
            began = trio.current_time()
            passed = False
            with trio.move_on_after(workload["timeout_s"]):
                passed = await check(target)
            if counting:
                latencies_s.append(trio.current_time() - began)
                failed += not passed

    meter = Meter()
    async with trio.open_nursery() as nursery:
        for worker in range(WORKERS):
            nursery.start_soon(work, worker)
        await trio.sleep(workload["warmup_s"])
        counting = True
        with meter:
            await trio.sleep(workload["seconds"])
        counting = False
        nursery.cancel_scope.cancel()
    return figures(workload, meter, len(latencies_s), failed, latencies_s)
