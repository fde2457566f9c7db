"""A trio stream whose bytes pass an injection point: for code that talks to a dependency through one, and calls nothing."""

from __future__ import annotations

import trio
from trio.abc import HalfCloseableStream, Stream

from meshkit_fastprobe._native.injection import InjectionPoint


class PointStream(Stream):
    """Sends pass the point before they go out, and what is received passes it before it is handed on.

    Bytes that came while somebody gave up waiting in a fault are handed to whoever asks next: none are lost.
    """

    def __init__(self, stream: Stream, point: InjectionPoint) -> None:
        self._stream = stream
        self._point = point
        self._arrived: bytes | bytearray | None = None
        self._receiving = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._point.armed:
            await self._point.pass_through()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            return await self._received(max_bytes)
        finally:
            self._receiving = False

    async def aclose(self) -> None:
        self._arrived = None
        await self._stream.aclose()

    async def _received(self, max_bytes: int | None) -> bytes | bytearray:
        if self._arrived is None:
            arrived = await self._stream.receive_some(max_bytes)
            if not self._point.armed:
                return arrived
            self._arrived = arrived
        await self._point.pass_through()
        arrived, self._arrived = self._arrived, None
        if max_bytes is not None and len(arrived) > max_bytes:  # asked for less than whoever gave up
            arrived, self._arrived = arrived[:max_bytes], arrived[max_bytes:]
        return arrived


class HalfCloseablePointStream(PointStream, HalfCloseableStream):
    def __init__(self, stream: HalfCloseableStream, point: InjectionPoint) -> None:
        super().__init__(stream, point)
        self._half_closeable = stream

    async def send_eof(self) -> None:
        await self._half_closeable.send_eof()


def stream_through(point: InjectionPoint, stream: Stream) -> Stream:
    """The same stream, whose bytes pass the point both ways; half-closeable when it is. The stream is its to close."""
    if isinstance(stream, HalfCloseableStream):
        return HalfCloseablePointStream(stream, point)
    return PointStream(stream, point)
