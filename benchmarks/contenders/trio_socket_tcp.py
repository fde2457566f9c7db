"""Raw trio sockets: connect, close."""

from typing import Any

import trio

from benchmarks.shared.checks import addresses
from benchmarks.shared.trio_workers import pace_with_trio


def run(workload: dict[str, Any]) -> dict[str, Any]:
    hosts, port = addresses(workload), workload["port"]

    async def check(target: int) -> bool:
        with trio.socket.socket() as sock:
            await sock.connect((hosts[target], port))
        return True

    return trio.run(pace_with_trio, workload, check)
