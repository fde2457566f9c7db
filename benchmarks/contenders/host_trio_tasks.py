"""The same TCP checks as trio tasks in the host's loop: persistent workers with raw sockets, the careful way without us."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from benchmarks.shared.checks import WORKERS, addresses, turns
from benchmarks.shared.host_loop import Count, beside


def run(workload: dict[str, Any]) -> dict[str, Any]:
    hosts, port = addresses(workload), workload["port"]
    done = 0

    async def work(worker: int, start: float) -> None:
        nonlocal done
        if not hosts:
            return
        for at, target in turns(worker, len(hosts), workload["interval_s"]):
            await trio.sleep_until(start + at)
            with trio.move_on_after(workload["interval_s"]), trio.socket.socket() as sock:
                await sock.connect((hosts[target], port))
            done += 1

    @asynccontextmanager
    async def checks() -> AsyncIterator[Count]:
        async with trio.open_nursery() as nursery:
            for worker in range(WORKERS):
                nursery.start_soon(work, worker, trio.current_time())
            yield lambda: done
            nursery.cancel_scope.cancel()

    return trio.run(beside, workload, checks)
