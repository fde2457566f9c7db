"""One call over ASGI: its messages in and out, and the trailers that end it."""

from __future__ import annotations

from typing import Final

import trio

from meshkit_fastprobe.server.bodies import MAX_BYTES
from meshkit_fastprobe.server.grpc.framing import Frames, framed
from meshkit_fastprobe.server.grpc.status import CallError, Code, trailers_of
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.reply import Receive, Scope, Send, patiently

PATIENCE_S: Final = 10.0
"""For a message to arrive that a method waits for."""
ENCODINGS: Final = ("identity", "gzip")
_HEADERS: Final = [
    (b"content-type", b"application/grpc+proto"),
    (b"grpc-accept-encoding", ",".join(ENCODINGS).encode()),
    (b"cache-control", b"no-store"),
]


class Call:
    """CallError from any method: it ends the call."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._frames = Frames(self._encoding())
        self._news = trio.Event()
        self._room = trio.Event()
        self._all_sent = False
        self._started = False

    def _encoding(self) -> str:
        named = header(self.scope, b"grpc-encoding")
        encoding = named[0].decode("latin-1") if named else "identity"
        if encoding not in ENCODINGS:
            raise CallError(Code.UNIMPLEMENTED, f"no encoding {encoding[:40]!r} here; there is: {', '.join(ENCODINGS)}")
        return encoding

    async def hear(self) -> None:
        """Take what arrives until the caller has gone: what nobody reads would block the connection."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            while self._frames.waiting > 2 * MAX_BYTES:  # a stream of messages waits until they are read
                self._room = trio.Event()
                await self._room.wait()
            self._frames.take(message.get("body", b""))
            self._all_sent = not message.get("more_body", False)
            self._news.set()

    async def read(self, patience_s: float = PATIENCE_S) -> bytes | None:
        """The next message; None after the last."""
        while True:
            message = self._frames.next()
            self._room.set()
            if message is not None:
                return message
            if self._all_sent and self._frames.waiting:
                raise CallError(Code.INTERNAL, "the request ends amid a message")
            if self._all_sent:
                return None
            self._news = trio.Event()
            with trio.move_on_after(patience_s) as waited:
                await self._news.wait()
            if waited.cancelled_caught:
                raise CallError(Code.DEADLINE_EXCEEDED, f"no message arrived within {patience_s:g} s")

    async def read_only(self) -> bytes:
        """The one message of a request that has one."""
        message = await self.read()
        if message is None:
            raise CallError(Code.INTERNAL, "the request has no message")
        if await self.read() is not None:
            raise CallError(Code.INTERNAL, "the request has more than the one message that this method takes")
        return message

    async def write(self, message: bytes) -> None:
        await self._begin()
        await self._patiently({"type": "http.response.body", "body": framed(message), "more_body": True})

    async def end(self, code: Code, message: str = "", more: dict[str, str] | None = None) -> None:
        await self._begin()
        await self._patiently({"type": "http.response.body", "body": b""})
        await self._patiently({"type": "http.response.trailers", "headers": trailers_of(code, message, more)})

    async def _begin(self) -> None:
        if not self._started:
            self._started = True
            await self._patiently({"type": "http.response.start", "status": 200, "headers": _HEADERS, "trailers": True})

    async def _patiently(self, message: dict[str, object]) -> None:
        if not await patiently(self._send, message):
            raise CallError(Code.CANCELLED, "the caller takes nothing")
