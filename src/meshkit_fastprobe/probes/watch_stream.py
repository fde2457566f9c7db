"""A stream of events that stays open between checks, with a task of its own that reads it."""

from __future__ import annotations

from typing import Final

import trio

from meshkit_fastprobe._native.http1 import Parser
from meshkit_fastprobe.model import Outcome, Reason
from meshkit_fastprobe.probes.event_stream import EndlessLineError, EventStream
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.tls_stream import Stream, close_at_once, receive, send

HTTP_OK: Final = 200
_ENDS: Final = {"done": Reason.RESPONSE_CLOSED, "too_large": Reason.HTTP_HEADER_LIMIT}
MEDIA_TYPE: Final = b"text/event-stream"


class WatchStream:
    """Reads whatever comes as soon as it comes: a reader that lets bytes lie would hold up the target's writer.

    The reader is a system task of trio's because a stream belongs to no run: it ends when the stream does, or by `close`.
    """

    def __init__(self, stream: Stream | trio.SocketStream, events: EventStream) -> None:
        self._stream = stream
        self._events = events
        self._parser = Parser()
        self._scope = trio.CancelScope()
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.opened_s = self.heard_s = trio.current_time()
        self.lines = 0
        """How many pieces of the stream brought whole lines; more than 0 once it has said anything."""
        self.ended: Outcome | None = None

    @property
    def token(self) -> str:
        return self._events.token

    @property
    def gap(self) -> str:
        return self._events.gap

    async def open(self, request: bytes) -> Outcome | None:
        """None once the target has begun to stream, which is read from then on; else why it has not. Broken: it ended."""
        await send(self._stream, request)
        while True:
            data = await receive(self._stream)
            if not data:
                raise Broken(Reason.RESPONSE_CLOSED)
            refusal, begun = self._take(data)
            if refusal is not None:
                return refusal
            if begun:
                self.opened_s = trio.current_time()
                trio.lowlevel.spawn_system_task(self._read, name="watch")
                return None

    def close(self) -> None:
        self._scope.cancel()
        close_at_once(self._stream)

    async def _read(self) -> None:
        """Nothing may come out of here: an exception of a system task is the end of the host."""
        with self._scope:
            try:
                self.ended = await self._read_to_the_end()
            except Broken as broken:
                self.ended = broken.outcome
            except Exception as error:  # noqa: BLE001 - see above; the next check tells it
                self.ended = Outcome.error(type(error).__name__)
        if self.ended is None:
            self.ended = Outcome.fail(reason=Reason.RESPONSE_CLOSED)

    async def _read_to_the_end(self) -> Outcome:
        while True:
            data = await receive(self._stream)
            refusal, _ = self._take(data) if data else (Outcome.fail(reason=Reason.RESPONSE_CLOSED), False)
            if refusal is not None:
                return refusal

    def _take(self, data: bytes) -> tuple[Outcome | None, bool]:
        """Why the stream is at its end, if it is; and whether the headers of a stream are there."""
        begun = False
        for event in self._parser.feed(data):
            match event:
                case ("status", int(status)):
                    self.status = status
                case ("header", bytes(name), bytes(value)):
                    self.headers.append((name, value))
                case ("headers_end",):
                    begun = True
                    refusal = _judge(self.status, self.headers)
                    if refusal is not None:
                        return refusal, False
                case ("body", bytes(piece)):
                    refusal = self._listen(piece)
                    if refusal is not None:
                        return refusal, False
                case _:
                    return Outcome.fail(reason=_ENDS.get(event[0], Reason.HTTP_PROTOCOL)), False
        return None, begun

    def _listen(self, piece: bytes) -> Outcome | None:
        try:
            if self._events.feed(piece):
                self.heard_s = trio.current_time()
                self.lines += 1
        except EndlessLineError:
            return Outcome.fail("a line without an end", reason=Reason.HTTP_BODY_LIMIT)
        return None


def _judge(status: int, headers: list[tuple[bytes, bytes]]) -> Outcome | None:
    if status != HTTP_OK:
        return Outcome.fail(reason=Reason.HTTP_STATUS, detail=status)
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    if kind.partition(b";")[0].strip().lower() != MEDIA_TYPE:
        return Outcome.fail("it is no text/event-stream", reason=Reason.HEADER_MISMATCH, detail=status)
    return None
