"""What TLS runs over: a socket whose peer is heard out, and that remembers whether we were asked for a certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import trio

_HANDSHAKE: Final = 22
_CERTIFICATE: Final = 11
_READ_BYTES: Final = 16 * 1024
_EMPTY_LIST_BYTES: Final = 8
"""A Certificate message without any: 7 bytes up to TLS 1.2, 8 with TLS 1.3."""

shaking_hands: ContextVar[Transport | None] = ContextVar("shaking_hands", default=None)
"""The transport of the handshake that the current task is in: OpenSSL tells of messages without telling whose they are."""


class Transport(trio.abc.HalfCloseableStream):
    """A target that refuses our certificate sends its alert and closes; what we send meanwhile is answered by a reset.

    So where sending fails, what the target said before is read first: else each refusal would be an alert or a reset by chance.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._plain = sock
        self._waits = True
        self.socket = trio.socket.from_stdlib_socket(sock)
        self._stream = trio.SocketStream(self.socket)
        self._failure: trio.BrokenResourceError | None = None
        self.heard = False
        """Something came from the target since this was last set to False."""
        self.asked = False
        """The target asked for a certificate of ours."""
        self.showed_nothing = False
        """And we had none."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            self._failure = error

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes) if self._waits else self._plain.recv(_READ_BYTES)
        if not data and self._failure is not None:
            raise self._failure
        self.heard = self.heard or bool(data)
        return data

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Receiving what has not come yet is a BlockingIOError in here, and no harm to TLS."""
        self._waits = False
        try:
            yield
        finally:
            self._waits = True

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def watch_certificates(context: ssl.SSLContext) -> None:
    """Have the context's handshakes say whether a certificate of ours was asked for.

    By a hook that ssl keeps for debugging, as nothing else tells that a target has asked: where it is gone, a refusal without
    an alert is no more than a closed connection.
    """
    if hasattr(context, "_msg_callback"):
        context._msg_callback = _on_message  # noqa: SLF001 - as said above


def _on_message(_: object, direction: str, __: object, content: int, kind: int, data: Any) -> None:
    transport = shaking_hands.get()
    if transport is not None and direction == "write" and content == _HANDSHAKE and kind == _CERTIFICATE:
        transport.asked = True
        transport.showed_nothing = len(data) <= _EMPTY_LIST_BYTES
