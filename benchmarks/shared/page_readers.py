"""`python page_readers.py ADDRESS TOKEN PATH CLIENTS SECONDS`: readers without a pause, in a process of their own.

Prints the 95th percentile of the time from a question to the end of its answer, in milliseconds, and the number of answers.
"""

import math
import sys
import time
from contextlib import suppress

import trio


class ClosedError(Exception):
    """The host ends a connection after a thousand requests."""


async def read_for(address: tuple[str, int], request: bytes, until_s: float, took_s: list[float]) -> None:
    while time.perf_counter() < until_s:
        with suppress(ClosedError):
            async with await trio.open_tcp_stream(*address) as stream:
                await read_from(stream, request, until_s, took_s)


async def read_from(stream: trio.SocketStream, request: bytes, until_s: float, took_s: list[float]) -> None:
    while time.perf_counter() < until_s:
        began_s = time.perf_counter()
        await stream.send_all(request)
        await _whole(stream)
        took_s.append(time.perf_counter() - began_s)


async def _whole(stream: trio.SocketStream) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += await _some(stream)
    head, _, body = head.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(length.partition(b":")[2]) - len(body)
    while left > 0:
        left -= len(await _some(stream))


async def _some(stream: trio.SocketStream) -> bytes:
    data = await stream.receive_some(1 << 20)
    if not data:
        raise ClosedError
    return bytes(data)


async def main(address: str, token: str, path: str, clients: int, seconds: float) -> None:
    host, _, port = address.rpartition(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    took_s: list[float] = []
    until_s = time.perf_counter() + seconds
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(read_for, (host, int(port)), request, until_s, took_s)
    took_s.sort()
    print(took_s[math.ceil(0.95 * len(took_s)) - 1] * 1e3, len(took_s))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
