"""Answers as ASGI callables: whole, or in pages between which others may work."""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
import trio

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Answer: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""The shapes of ASGI. Starlette has the same ones; the command line reads tokens through this package without Starlette."""

SEND_PATIENCE_S: Final = 30.0
"""A reader that takes nothing for this long is given up: it must not hold a page, nor the shutdown, for ever."""

COMPRESSED_FROM: Final = 4096
"""Bytes: below, the trouble is greater than the gain."""
COMPRESSION: Final = 1
"""The fastest: items are alike, and shrink to a tenth at any level."""

_NONE: Final = re.compile(rb"q=0(\.0*)?")

log = logging.getLogger("meshkit_fastprobe.server")


class Reply(msgspec.Struct, frozen=True):
    """A whole answer. One with an etag is not sent to a reader who has it; a long one is compressed for who takes gzip."""

    status: int
    media_type: str
    body: bytes
    headers: dict[str, str] = {}

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        etag = self.headers.get("etag")
        if etag is not None and self.status == 200 and _has(scope, etag):
            if await patiently(send, _start(304, self.media_type, self.headers)):
                await patiently(send, {"type": "http.response.body", "body": b""})
            return
        body, headers = self.body, self.headers
        if len(body) >= COMPRESSED_FROM and "content-encoding" not in headers and accepts_gzip(scope):
            body = await trio.to_thread.run_sync(partial(gzip.compress, body, COMPRESSION, mtime=0))
            headers = {**headers, "content-encoding": "gzip"}
        length = {"content-length": str(len(body))}
        if await patiently(send, _start(self.status, self.media_type, {**length, **headers})):
            await patiently(send, {"type": "http.response.body", "body": body})


class PagedReply(msgspec.Struct, frozen=True):
    """An answer of unknown length. Empty pages are turns of work without text: they let the event loop go on."""

    media_type: str
    pages: Iterable[bytes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await patiently(send, _start(200, self.media_type, {})):
            return
        if scope["method"] == "HEAD" or await self._send_pages(receive, send):
            await patiently(send, {"type": "http.response.body", "body": b""})

    async def _send_pages(self, receive: Receive, send: Send) -> bool:
        """False when the reader went or was given up: the answer must not be ended then, or it would look whole."""
        whole = False
        async with trio.open_nursery() as nursery:
            # Hypercorn takes pages for a reader that has gone as calmly as for one that is there. (It also says so at the end
            # of an answer, amid our last send: that one is made outside of this scope.)
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            for page in self.pages:
                if not page:
                    await trio.lowlevel.checkpoint()
                elif not await patiently(send, {"type": "http.response.body", "body": page, "more_body": True}):
                    break
            else:
                whole = True
            nursery.cancel_scope.cancel()
        return whole


class StreamReply(msgspec.Struct, frozen=True):
    """An answer without an end of its own: texts as they come. An empty text is a turn of work."""

    media_type: str
    texts: AsyncGenerator[bytes, None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await patiently(send, _start(200, self.media_type, {})):
            return
        if scope["method"] == "HEAD" or await self._send_texts(receive, send):
            await patiently(send, {"type": "http.response.body", "body": b""})

    async def _send_texts(self, receive: Receive, send: Send) -> bool:
        whole = False
        async with trio.open_nursery() as nursery, aclosing(self.texts) as texts:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            async for text in texts:
                if not text:
                    await trio.lowlevel.checkpoint()
                elif not await patiently(send, {"type": "http.response.body", "body": text, "more_body": True}):
                    break
            else:
                whole = True
            nursery.cancel_scope.cancel()
        return whole


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def accepts_gzip(scope: Scope) -> bool:
    """Not that of `gzip;q=0`, which says the opposite."""
    told = b",".join(_values(scope, b"accept-encoding")).lower().replace(b" ", b"")
    return any(
        coding == b"gzip" and not _NONE.fullmatch(weight)
        for coding, _, weight in (one.partition(b";") for one in told.split(b","))
    )


def _has(scope: Scope, etag: str) -> bool:
    """Whether the reader says that it has this (RFC 9110, 13.1.2; a GET compares weakly)."""
    if scope["method"] not in {"GET", "HEAD"}:
        return False
    told = b",".join(_values(scope, b"if-none-match")).decode("latin-1")
    return told.strip() == "*" or etag.removeprefix("W/") in {one.strip().removeprefix("W/") for one in told.split(",")}


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope.get("headers", ()) if key.lower() == name]


def _start(status: int, media_type: str, headers: Mapping[str, str]) -> Message:
    own = {"content-type": media_type, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    pairs = [(name.encode("ascii"), value.encode("latin-1")) for name, value in {**own, **headers}.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def patiently(send: Send, message: Message) -> bool:
    """False when the reader took nothing for so long that it is given up."""
    with trio.move_on_after(SEND_PATIENCE_S) as patience:
        await send(message)
    if patience.cancelled_caught:
        log.warning("a reader took nothing for %.0f s and was given up", SEND_PATIENCE_S)
    return not patience.cancelled_caught
