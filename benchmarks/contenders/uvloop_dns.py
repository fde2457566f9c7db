"""asyncio on uvloop: a datagram endpoint a check, for a random port each; the id alone of the answer is looked at."""

import asyncio
import secrets
import struct
from typing import Any

from benchmarks.shared.checks import addresses
from benchmarks.shared.uvloop_workers import pace_with_uvloop

QUESTION = b"\x07example\x03org\0" + struct.pack("!2H", 1, 1)


class Asked(asyncio.DatagramProtocol):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[bool] = loop.create_future()
        self._id = secrets.token_bytes(2)

    def connection_made(self, transport: Any) -> None:
        transport.sendto(self._id + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + QUESTION)

    def datagram_received(self, data: bytes, _: Any) -> None:
        if data[:2] == self._id and not self.answered.done():
            self.answered.set_result(True)

    def error_received(self, _: Exception) -> None:
        if not self.answered.done():
            self.answered.set_result(False)


def run(workload: dict[str, Any]) -> dict[str, Any]:
    hosts, port = addresses(workload), workload["port"]

    async def check(loop: asyncio.AbstractEventLoop, target: int) -> bool:
        transport, asked = await loop.create_datagram_endpoint(lambda: Asked(loop), remote_addr=(hosts[target], port))
        try:
            return await asked.answered
        finally:
            transport.close()

    return pace_with_uvloop(workload, check)
