"""One request over HTTP/3, as ASGI sees it. What is sent waits until the visitor has taken what was sent before."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol
from urllib.parse import unquote

import trio

from meshkit_fastprobe.server.reply import Message, Scope

MAX_UNREAD: Final = 256 * 1024
"""Bytes of a body that nobody has read: a visitor who sends more at once is not waited for."""
CHUNK_BYTES: Final = 16 * 1024
Headers = list[tuple[bytes, bytes]]


class Way(Protocol):
    """The connection, as far as a request uses it."""

    def send_headers(self, stream_id: int, headers: Headers, *, end: bool) -> None: ...
    def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None: ...
    def reset(self, stream_id: int, code: int) -> None: ...
    def has_sent(self, stream_id: int) -> bool:
        """Nothing waits to be sent for the first time."""

    async def moved(self) -> None:
        """Until something was sent or received."""


class Request:
    def __init__(self, way: Way, stream_id: int, scope: Scope) -> None:
        self.scope = scope
        self.gone = False
        self.answered = False
        self._way = way
        self._stream_id = stream_id
        self._parts: deque[Message] = deque()
        self._unread = 0
        self._news = trio.Event()
        self._start: Message | None = None

    # -- what comes ----------------------------------------------------------------------------------------------------------

    def take(self, data: bytes, *, ended: bool) -> bool:
        """False when more has come than anybody could want."""
        self._parts.append({"type": "http.request", "body": data, "more_body": not ended})
        self._unread += len(data)
        self._news.set()
        return self._unread <= MAX_UNREAD

    def leave(self) -> None:
        """The visitor wants no answer any more."""
        self.gone = True
        self._news.set()

    async def receive(self) -> Message:
        while not self._parts:
            if self.gone:
                return {"type": "http.disconnect"}
            self._news = trio.Event()
            await self._news.wait()
        part = self._parts.popleft()
        self._unread -= len(part["body"])
        return part

    # -- what goes -----------------------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        if self.gone or self.answered:
            return
        match message["type"]:
            case "http.response.start":
                self._start = message
            case "http.response.body":
                await self._send_body(message.get("body", b""), more=message.get("more_body", False))
            case "http.response.trailers":
                self._end(message["headers"])

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        assert self._start is not None
        start, trailers = self._start, self._start.get("trailers", False)
        bare = self.scope["method"] == "HEAD" or start["status"] in {204, 304}
        self._send_start(start)
        if not bare:
            for at in range(0, len(data), CHUNK_BYTES):
                self._way.send_data(self._stream_id, data[at : at + CHUNK_BYTES], end=False)
                await self._taken()
                if self.gone:
                    return
        if not more and not trailers:
            self._end(None)

    def _send_start(self, start: Message) -> None:
        if "sent" not in start:
            start["sent"] = True
            # The length of a body that is not sent: it may be left out (RFC 9110, 8.6), and some clients hold us to it.
            left_out = {b"content-length"} if self.scope["method"] == "HEAD" else set()
            headers = [(name.lower(), value) for name, value in start["headers"] if name.lower() not in left_out]
            self._way.send_headers(self._stream_id, [(b":status", b"%d" % start["status"]), *headers], end=False)

    def _end(self, trailers: Headers | None) -> None:
        self.answered = True
        if trailers is None:
            self._way.send_data(self._stream_id, b"", end=True)
        else:
            self._way.send_headers(self._stream_id, list(trailers), end=True)

    async def _taken(self) -> None:
        while not self.gone and not self._way.has_sent(self._stream_id):
            await self._way.moved()


def scope_of(headers: Headers, client: tuple[str, int], server: tuple[str, int]) -> Scope | None:
    """None for a request that has no path: CONNECT leads nowhere here."""
    pseudo = {name: value for name, value in headers if name.startswith(b":")}
    if b":path" not in pseudo or b":method" not in pseudo:
        return None
    path, _, query = pseudo[b":path"].partition(b"?")
    host = [(b"host", pseudo[b":authority"])] if b":authority" in pseudo else []
    others = [(name, value) for name, value in headers if not name.startswith(b":") and not (host and name == b"host")]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "3",
        "method": pseudo[b":method"].decode("ascii", "replace"),
        "scheme": "https",
        "path": unquote(path.decode("ascii", "replace")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [*host, *others],
        "client": client,
        "server": server,
        "state": {},
        "extensions": {"http.response.trailers": {}},
    }
