"""Bodies of requests: always read to their end, kept only as far as a route may ask for them."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
import trio

from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.problems import BODY_TOO_LARGE, INVALID_BODY, Problem
from meshkit_fastprobe.server.reply import Answer, Message, Receive, Scope, Send

T = TypeVar("T", bound=msgspec.Struct)

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 32
PATIENCE_S: Final = 10.0
"""For a body to arrive that a route waits for."""
LINGER_S: Final = 1.0
"""For a body that nobody asked for to come to its end, before the answer is given."""
BODY: Final = "meshkit_fastprobe.body"
"""Where the scope of a request holds its Body."""


class Body:
    """What has arrived so far."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._size = 0
        self._whole = trio.Event()
        self.gone = trio.Event()

    def take(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.gone.set()
            self._whole.set()
            return
        part = message.get("body", b"")
        self._size += len(part)
        if self._size <= MAX_BYTES:
            self._parts += part
        if not message.get("more_body", False):
            self._whole.set()

    async def heard_out(self) -> None:
        """Until its end has come, or its visitor has gone."""
        await self._whole.wait()

    async def read(self) -> bytes:
        """The whole of it. Problem when it is too large or does not arrive."""
        with trio.move_on_after(PATIENCE_S):
            await self._whole.wait()
        if self._size > MAX_BYTES:
            raise Problem(BODY_TOO_LARGE, f"the body has more than {MAX_BYTES} bytes", "send what the route asks for, no more")
        if not self._whole.is_set():
            raise Problem(INVALID_BODY, f"the body did not arrive within {PATIENCE_S:.0f} s", "send it at once")
        return bytes(self._parts)


class Bodies:
    """Reads them beside the app: a body that nobody reads would block hypercorn's reader for good."""

    def __init__(self, app: Answer) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_announced(scope):
            await self._app(scope, receive, send)
            return
        app = self._app
        if header(scope, b"transfer-encoding") and header(scope, b"content-length"):
            # Whoever passed it on may have gone by the other one, and take what follows for another request (RFC 9112, 6.3).
            what = "the request has both Transfer-Encoding and Content-Length"
            app = Problem(INVALID_BODY, what, "send one of them", headers={"connection": "close"}).reply()
        body = scope[BODY] = Body()

        async def receive_no_body() -> Message:
            await body.gone.wait()
            return {"type": "http.disconnect"}

        async def send_once_heard(message: Message) -> None:
            # An answer that comes before the end of the body ends the connection, and the reset of what is still on its way may
            # reach the visitor before the answer does.
            if message["type"] == "http.response.start":
                with trio.move_on_after(LINGER_S):
                    await body.heard_out()
            await send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_take_all, receive, body)
            await app(scope, receive_no_body, send_once_heard)
            nursery.cancel_scope.cancel()


async def read_object(scope: Scope) -> dict[str, Any]:
    """The body as an object of any keys. Problem likewise."""
    body: Body | None = scope.get(BODY)
    try:
        told = msgspec.convert(_decoded(scope, b"" if body is None else await body.read(), Any), dict[str, Any])
        _check_depth(told, MAX_DEPTH)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(INVALID_BODY, f"the body cannot be read: {error}", "send an object") from None
    return told


def _check_depth(value: Any, left: int) -> None:
    """RecursionError for what is nested further: others look into it by calling themselves."""
    if left == 0:
        raise RecursionError(f"it is nested more than {MAX_DEPTH} deep")
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in inside:
        _check_depth(part, left - 1)


def _decoded(scope: Scope, content: bytes, shape: Any) -> Any:
    """As its media type says: MessagePack, or JSON."""
    media = b",".join(header(scope, b"content-type")).partition(b";")[0].strip().lower()
    decode: Any = msgspec.msgpack.decode if media.endswith(b"msgpack") else msgspec.json.decode
    return decode(content, type=shape)


async def read_json(scope: Scope, shape: type[T], *, optional: bool = False) -> T:
    """The body as this type; optional: one that is empty says nothing. Problem when it is needed, or is another."""
    body: Body | None = scope.get(BODY)
    content = b"" if body is None else await body.read()
    if optional and not content:
        return shape()
    try:
        read: T = _decoded(scope, content, shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(shape))
        raise Problem(INVALID_BODY, f"the body cannot be read: {error}", f"send an object of: {fields}") from None
    return read


async def _take_all(receive: Receive, body: Body) -> None:
    while not body.gone.is_set():
        body.take(await receive())


def _is_announced(scope: Scope) -> bool:
    """HTTP/2 and 3 need no header for a body to come."""
    return scope["http_version"] not in {"1.0", "1.1"} or any(
        name.lower() == b"transfer-encoding" or (name.lower() == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
