"""Loopback servers that misbehave, and runs against them that must leave nothing behind."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

import meshkit_fastprobe as fp

Misbehave = Callable[[trio.SocketStream], Awaitable[None]]
RESET = struct.pack("ii", 1, 0)
LIMIT_S = 0.6
"""Of runs that shall end by it. In this time a request has to have come to the target, also on a loaded machine."""
PATIENCE_S = 20.0
"""Of runs that end by what is answered, whenever that comes."""


@asynccontextmanager
async def target(misbehave: Misbehave, host: str = "127.0.0.1") -> AsyncIterator[str]:
    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await misbehave(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host=host)
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        port = listener.socket.getsockname()[1]
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        nursery.cancel_scope.cancel()


async def twice(probe: fp.Probe, *, native_lane: bool = True, limit_s: float = PATIENCE_S) -> fp.ProbeView:
    """Run it two times, the second on whatever the first left; the engine must come out clean."""
    diag = fp.Diagnostics(fp.Settings(host="test", max_probes=4, native_lane=native_lane))
    diag.add(probe, name="it", interval="1h", initial_delay="1h", timeout=limit_s)
    async with diag:
        with trio.fail_after(60):
            first, second = await diag.run_once("it"), await diag.run_once("it")
            engine = diag._running.engine
            while engine.stats()["in_flight"]:
                await trio.sleep(0.01)
        assert (first.result, first.reason) == (second.result, second.reason)
        stats = engine.stats()
        runs = 2 if native_lane else 0
        assert (stats["runs_started"], stats["runs_finished"]) == (runs, runs)
        engine.stop()
        assert engine.check() is None
    return second


async def request(stream: trio.SocketStream) -> None:
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        more = await stream.receive_some()
        if not more:
            raise trio.BrokenResourceError
        received += more


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


async def reset_at_once(stream: trio.SocketStream) -> None:
    reset(stream)
