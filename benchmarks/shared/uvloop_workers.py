"""The pace of checks.py, kept by asyncio on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from benchmarks.measure import Meter
from benchmarks.shared.checks import WORKERS, figures, turns

Check = Callable[[asyncio.AbstractEventLoop, int], Awaitable[bool]]


async def nothing() -> None:
    """There is nothing to close."""


def pace_with_uvloop(workload: dict[str, Any], check: Check, close: Callable[[], Awaitable[None]] = nothing) -> dict[str, Any]:
    return uvloop.run(_pace(workload, check, close))


async def _pace(workload: dict[str, Any], check: Check, close: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    failed = 0
    counting = False
    start = loop.time()

    async def work(worker: int) -> None:
        nonlocal failed
        for at, target in turns(worker, workload["targets"], workload["interval_s"]):
            await asyncio.sleep(max(0.0, start + at - loop.time()))
            began = loop.time()
            passed = False
            try:
                async with asyncio.timeout(workload["timeout_s"]):
                    passed = await check(loop, target)
            except TimeoutError:
                passed = False
            if counting:
                latencies_s.append(loop.time() - began)
                failed += not passed

    meter = Meter()
    workers = [asyncio.create_task(work(worker)) for worker in range(WORKERS)]
    await asyncio.sleep(workload["warmup_s"])
    counting = True
    with meter:
        await asyncio.sleep(workload["seconds"])
    counting = False
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    await close()
    return figures(workload, meter, len(latencies_s), failed, latencies_s)
