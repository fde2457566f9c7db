"""aiohttp on uvloop: one session."""

from typing import Any

import aiohttp

from benchmarks.shared.checks import addresses
from benchmarks.shared.uvloop_workers import pace_with_uvloop


def run(workload: dict[str, Any]) -> dict[str, Any]:
    urls = [f"http://{address}:{workload['port']}/healthz" for address in addresses(workload)]
    session: aiohttp.ClientSession | None = None

    async def check(_loop: Any, target: int) -> bool:
        nonlocal session
        if session is None:
            connector = aiohttp.TCPConnector(limit=0, force_close=not workload["keep_alive"])
            session = aiohttp.ClientSession(connector=connector)
        async with session.get(urls[target]) as answer:
            await answer.read()
            return answer.status == 200

    async def close() -> None:
        if session is not None:
            await session.close()

    return pace_with_uvloop(workload, check, close)
