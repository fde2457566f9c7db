"""One request over TLS and its judged answer, by HTTP/1.1 or HTTP/2: two carriers of the same words."""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

from meshkit_fastprobe.model import Outcome, Reason
from meshkit_fastprobe.probes.http2 import Headers, Http2
from meshkit_fastprobe.probes.http_judge import Broken, Judge
from meshkit_fastprobe.probes.http_on_trio import Answer, Exchange
from meshkit_fastprobe.probes.seeing import Seen, Socket
from meshkit_fastprobe.probes.tls_stream import Stream, close_at_once, receive, send, still_quiet

_OF_THE_CONNECTION: Final = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
"""Headers that HTTP/2 forbids."""


class Carrier(Protocol):
    """One connection. `begun`: bytes of the last answer came."""

    version: ClassVar[str]

    @property
    def begun(self) -> bool: ...

    @property
    def reusable(self) -> bool: ...

    @property
    def socket(self) -> Socket:
        """For its ends."""

    async def ask(self, exchange: Exchange, seen: Seen) -> Outcome:
        """The verdict on one answer, which `seen` is told of. Broken when the connection ended before it."""

    def close(self) -> None: ...


class OverHttp1:
    version: ClassVar[str] = "HTTP/1.1"

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.begun = False
        self.reusable = True

    @property
    def socket(self) -> Socket:
        return self._stream.transport_stream.socket

    async def ask(self, exchange: Exchange, seen: Seen) -> Outcome:
        answer = Answer(exchange)
        if self.begun and not await still_quiet(self._stream):  # what came since the last answer is none to this request
            self.begun = False
            raise Broken(Reason.RESPONSE_CLOSED)
        self.begun = self.reusable = False
        await send(self._stream, exchange.request)
        while True:
            data = await receive(self._stream)
            self.begun = self.begun or bool(data)
            if data:
                seen.heard()
            verdict = answer.take(data) if data else answer.end()
            if verdict is not None or not data:
                seen.answered(answer.status, answer.headers)
                seen.body_bytes = answer.body_bytes
            if verdict is not None:
                self.reusable = answer.reusable and bool(data)
                return verdict
            if not data:
                raise Broken(Reason.RESPONSE_CLOSED)

    def close(self) -> None:
        close_at_once(self._stream)


class OverHttp2:
    version: ClassVar[str] = "HTTP/2"

    def __init__(self, stream: Stream) -> None:
        self._connection = Http2(stream)
        self._whole = False

    @property
    def begun(self) -> bool:
        return self._connection.begun

    @property
    def reusable(self) -> bool:
        return self._whole and self._connection.reusable

    @property
    def socket(self) -> Socket:
        return self._connection.socket

    async def ask(self, exchange: Exchange, seen: Seen) -> Outcome:
        from h2 import events

        self._whole = False
        judge = Judge(exchange.wish)
        await self._connection.ask(http2_headers(exchange.request))
        verdict: Outcome | None = None
        while True:
            for event in await self._connection.events():
                seen.heard()
                match event:
                    case events.ResponseReceived():
                        headers = list(event.headers or ())
                        seen.answered(int(value_of(headers, b":status")), headers)
                        verdict = judge.headers(seen.status, headers)
                    case events.DataReceived():
                        verdict = judge.body(event.data or b"")
                        seen.body_bytes = judge.body_bytes
                    case events.StreamEnded():
                        verdict = judge.whole()
                        self._whole = True
                if verdict is not None:
                    return verdict

    def close(self) -> None:
        self._connection.close()


def http2_headers(request: bytes) -> Headers:
    """The same request in HTTP/2's words."""
    line, *fields = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    method, path, _ = line.split(b" ")
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(b":") for field in fields)]
    authority = value_of(headers, b"host")
    pseudo = [(b":method", method), (b":scheme", b"https"), (b":authority", authority), (b":path", path)]
    return pseudo + [(name, value) for name, value in headers if name != b"host" and name not in _OF_THE_CONNECTION]


def value_of(headers: Headers, name: bytes) -> bytes:
    return next((value for known, value in headers if known == name), b"")


_http1: type[Carrier] = OverHttp1
_http2: type[Carrier] = OverHttp2
