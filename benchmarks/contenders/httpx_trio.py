"""httpx on trio: one client; without keep-alive its pool keeps no connection."""

from typing import Any

import httpx
import trio

from benchmarks.shared.checks import addresses
from benchmarks.shared.trio_workers import pace_with_trio


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(_run, workload)


async def _run(workload: dict[str, Any]) -> dict[str, Any]:
    urls = [f"http://{address}:{workload['port']}/healthz" for address in addresses(workload)]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None if workload["keep_alive"] else 0)
    async with httpx.AsyncClient(limits=limits, trust_env=False, timeout=workload["timeout_s"]) as client:

        async def check(target: int) -> bool:
            try:
                return (await client.get(urls[target])).status_code == 200
            except httpx.TransportError:  # a pooled connection that an earlier timeout has closed
                return False

        return await pace_with_trio(workload, check)
