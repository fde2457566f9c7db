"""asyncio on uvloop: sock_connect, close."""

import socket
from typing import Any

from benchmarks.shared.checks import addresses
from benchmarks.shared.uvloop_workers import pace_with_uvloop


def run(workload: dict[str, Any]) -> dict[str, Any]:
    hosts, port = addresses(workload), workload["port"]

    async def check(loop: Any, target: int) -> bool:
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, (hosts[target], port))
        return True

    return pace_with_uvloop(workload, check)
