"""A trio task for each probe, asleep: nothing else is kept, no result, no histogram."""

from typing import Any

import trio

from benchmarks.measure import rss_bytes


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(_run, workload)


async def _probe(target: str) -> None:
    while target:
        with trio.move_on_after(1.0):
            await trio.lowlevel.checkpoint()
        await trio.sleep(3600.0)


async def _run(workload: dict[str, Any]) -> dict[str, Any]:
    n = workload["targets"]
    empty_bytes = rss_bytes()
    async with trio.open_nursery() as nursery:
        for number in range(n):
            nursery.start_soon(_probe, f"target-{number}")
        await trio.sleep(workload["seconds"])
        full_bytes = rss_bytes()
        nursery.cancel_scope.cancel()
    return {"bytes_per_probe": (full_bytes - empty_bytes) / n, "mib": (full_bytes - empty_bytes) / 2**20}
